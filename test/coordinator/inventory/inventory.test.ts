/** Files that tell of machines to come: what is read, and what is said of each thing that is wrong, and where. */
import t from 'tap';
import { type Inventory, readInventory } from '../../../coordinator/inventory/inventory.ts';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { compareMachines, marksOf } from '../../../shared/hardware.ts';

const told = (read: Inventory): unknown =>
  read.ok ? read.lines.map(({ expectation }) => expectation) : read.diagnostics.map(formatDiagnostic);

const faults = (read: Inventory): string =>
  read.ok ? '' : read.diagnostics.map(formatDiagnostic).join('\n');

const n1 = {
  node: 'n1',
  serial: 'ABC-1',
  uuid: null,
  macs: ['52:54:00:00:00:01', '52:54:00:00:00:02'],
  labels: { site: 'north', rack: '7', use: 'kv, web' },
  address: '10.0.0.1',
  bmc: 'https://10.1.0.1',
};

t.test('the same node as CSV, with other separators, and as YAML', async (t) => {
  const csv = `# what was ordered
Name,Serial,MAC,Site,Rack,Address,BMC,labels.use

n1,abc-1,"52-54-00-00-00-01 525400000002",north,7,10.0.0.1,https://10.1.0.1,"kv, web"
`;
  t.same(told(readInventory('racks.csv', csv)), [n1]);
  t.same(
    told(readInventory('-', `\uFEFF${csv.replaceAll('\n', '\r\n')}`)),
    [n1],
    'as a spreadsheet writes it',
  );
  const yaml = `nodes:
  - name: n1
    serial: abc-1
    mac: ['52:54:00:00:00:01', '5254.0000.0002']
    site: north
    rack: 7
    address: 10.0.0.1
    bmc: https://10.1.0.1
    labels: { use: 'kv, web' }
`;
  t.same(told(readInventory('racks.yaml', yaml)), [n1]);
  t.same(told(readInventory('-', yaml)), [n1], 'without a name of its own');
  t.match(told(readInventory('racks.csv', 'name;uuid\nn2;7D1F0C2E-0A4B-4C1D-9E77-0B6F2A9D1C02\n')), [
    { node: 'n2', uuid: '7d1f0c2e-0a4b-4c1d-9e77-0b6f2a9d1c02', labels: {} },
  ]);
});

t.test('what is wrong with a table', async (t) => {
  const read = (text: string): string => faults(readInventory('racks.csv', text));
  t.equal(
    read('name,serail,rack,rack,use\n'),
    `racks.csv:1:6: error: there is no column "serail" (expected one of name, serial, uuid, mac, site, rack, cluster, address, bmc, or labels.KEY; did you mean "serial"?)
racks.csv:1:18: error: the column rack stands there twice
racks.csv:1:23: error: there is no column "use" (expected one of name, serial, uuid, mac, site, rack, cluster, address, bmc, or labels.KEY)`,
  );
  t.match(read('serial\nx\n'), 'racks.csv:1:1: error: there is no column "name"');
  t.match(
    read(''),
    'racks.csv:1:1: error: the file is empty (expected a first row with the names of columns)',
  );
  t.equal(
    read('name,serial\nn1,S1,a b\nn2\n'),
    `racks.csv:2:7: error: this row has 3 cells, and the first row names 2 (expected quotes around a cell with separators)
racks.csv:3:1: error: this row has 1 cells, and the first row names 2 (expected a separator for each empty cell)`,
  );
  t.match(read('name,serial\nn1,"S1\n'), 'racks.csv:2:1: error: this is not CSV: Quote Not Closed');
});

t.test('what is wrong with a line', async (t) => {
  const text = `# comment
name, serial, uuid, mac, cluster, address
N1, To Be Filled By O.E.M., 00000000-0000-0000-0000-000000000000, "52:54:00:00:00:01 01:00:5e:00:00:01", A B, a b
,S-2,,,,
n3,,,,,
`;
  t.equal(
    faults(readInventory('racks.csv', text)),
    `racks.csv:3:1: error: "N1" cannot be the name of a node (expected at most 63 small letters, digits, "-" and ".", beginning and ending with a letter or digit)
racks.csv:3:5: error: "To Be Filled By O.E.M." is no serial number that only one machine has (expected what the board of this machine says)
racks.csv:3:29: error: "00000000-0000-0000-0000-000000000000" is no UUID that only one machine has (expected such as 7d1f0c2e-0a4b-4c1d-9e77-0b6f2a9d1c02)
racks.csv:3:67: error: "01:00:5e:00:00:01" is no MAC address that only one machine has (expected such as 52:54:00:12:34:56)
racks.csv:3:106: error: "A B" cannot be the name of a cluster (expected a name such as that of a node)
racks.csv:3:111: error: "a b" is no address (expected at most 253 characters without spaces)
racks.csv:4:1: error: this line names no node (expected a name)
racks.csv:5:1: error: nothing says which machine this is (expected at least one of serial, uuid, mac)`,
  );
});

t.test('what is wrong with YAML', async (t) => {
  const text = `node: []
nodes:
  - { name: n1, seriel: S1, labels: [a], rack: { b: c } }
  - n2
`;
  t.equal(
    faults(readInventory('racks.yaml', text)),
    `racks.yaml:1:1: error: there is no "node" (did you mean "nodes"?)
racks.yaml:3:17: error: a node has no "seriel" (expected one of name, serial, uuid, mac, site, rack, cluster, address, bmc, labels; did you mean "serial"?)
racks.yaml:3:37: error: labels is no map (expected KEY: VALUE for each label)
racks.yaml:3:48: error: rack is no text (expected text, a number or a bool)
racks.yaml:4:5: error: this is no node (expected a map with its name)`,
  );
  t.match(
    faults(readInventory('racks.yaml', 'nodes: 3')),
    'racks.yaml:1:8: error: the file tells of no nodes',
  );
});

t.test('what many machines share is no mark of one', async (t) => {
  const fillers = [
    '0000000000',
    'None',
    'Default string',
    'System Serial Number',
    '123456789',
    'xxxxxxxx',
    ' ',
  ];
  for (const serial of [
    ...fillers,
    'to be filled by o.e.m.',
    'Chassis Serial Number',
    '0123456789',
    '.......',
  ])
    t.same(marksOf({ serial }), [], JSON.stringify(serial));
  t.same(marksOf({ serial: ' cz1-7 ' }), ['serial CZ1-7']);
  t.same(marksOf({ uuid: '03000200-0400-0500-0006-000700080009' }), [], 'the UUID of many boards');
  t.same(marksOf({ uuid: 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF' }), []);
  t.same(marksOf({ macs: ['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', 'nonsense'] }), []);
  const a = marksOf({ serial: 'A1', macs: ['52:54:00:00:00:01'] });
  t.equal(
    compareMachines(a, marksOf({ serial: 'B1', macs: ['52:54:00:00:00:01'] })),
    'same',
    'one is enough',
  );
  t.equal(compareMachines(a, marksOf({ serial: 'B1' })), 'other');
  t.equal(compareMachines(a, marksOf({ uuid: '7d1f0c2e-0a4b-4c1d-9e77-0b6f2a9d1c02' })), 'unknown');
});
