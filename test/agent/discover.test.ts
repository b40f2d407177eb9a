/** Facts from the small files of a host, on hosts that were laid out for it and on this one. */
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readBootInstance } from '../../agent/discover/boot.ts';
import { digestOfFacts, readFacts } from '../../agent/discover/facts.ts';
import { readHardware } from '../../agent/discover/hardware.ts';
import { HostFiles } from '../../agent/discover/host-files.ts';
import { hasGaps, supplement } from '../../agent/discover/supplement.ts';
import { factsSchema } from '../../shared/facts.ts';

const processor = (n: number, socket: number, core: number): string =>
  `processor\t: ${n}\nmodel name\t: Test CPU 9000\nphysical id\t: ${socket}\ncore id\t\t: ${core}\n\n`;

t.test('a server with firmware tables, two sockets and several kinds of disks', async (t) => {
  const root = t.testdir({
    etc: {
      'machine-id': '0123456789abcdef0123456789abcdef\n',
      'os-release': 'PRETTY_NAME="Test \\"OS\\" 3"\nID=testos\nVERSION_ID=\'3.1\'\n',
    },
    proc: {
      cpuinfo: [0, 1, 2, 3, 4, 5, 6, 7].map((n) => processor(n, n >> 2, (n >> 1) & 1)).join(''),
      meminfo: 'MemTotal:       16384 kB\nMemFree:        1 kB\n',
      sys: { kernel: { osrelease: '6.1.0-test\n', version: '#1 SMP\n', random: { boot_id: 'b-1\n' } } },
    },
    sys: {
      class: {
        dmi: {
          id: {
            sys_vendor: 'ACME\n',
            product_name: 'Rack 1\n',
            product_version: 'To Be Filled By O.E.M.\n',
            product_serial: 'S123\n',
            product_uuid: 'ABCDEF00-0000-0000-0000-000000000001\n',
            chassis_type: '23\n',
            bios_vendor: 'BIOS Inc\n',
            bios_version: '1.2\n',
          },
        },
        net: {
          eno9: {
            address: '02:00:00:00:00:09\n',
            mtu: '9000\n',
            speed: '25000\n',
            operstate: 'up\n',
            device: {},
          },
          lo: {},
        },
      },
      block: {
        nvme0n1: {
          size: '2048\n',
          wwid: 'eui.01\n',
          device: { model: 'Fast  \n', serial: 'N1\n' },
          queue: { rotational: '0\n' },
          removable: '0\n',
        },
        sda: {
          size: '4096\n',
          device: { model: 'Slow\n', wwid: 'naa.5\n' },
          queue: { rotational: '1\n' },
          removable: '0\n',
        },
        sr0: { size: '0\n', device: { model: 'DVD\n' } },
        loop0: { size: '100\n' },
      },
    },
  });
  symlinkSync('/drivers/mlx5_core', path.join(root, 'sys/class/net/eno9/device/driver'));
  const facts = readFacts(new HostFiles(root));
  t.same(factsSchema.parse(facts), facts);
  t.same(readHardware(new HostFiles(root)), {
    serial: 'S123',
    uuid: 'abcdef00-0000-0000-0000-000000000001',
    macs: ['02:00:00:00:00:09'],
  });
  t.match(facts, {
    machineId: '0123456789abcdef0123456789abcdef',
    bootId: 'b-1',
    system: {
      vendor: 'ACME',
      product: 'Rack 1',
      serial: 'S123',
      uuid: 'abcdef00-0000-0000-0000-000000000001',
      chassis: 'server',
      bios: 'BIOS Inc 1.2',
    },
    cpu: { model: 'Test CPU 9000', sockets: 2, cores: 4, threads: 8 },
    memory: { totalBytes: 16_777_216 },
    os: { id: 'testos', name: 'Test "OS" 3', version: '3.1' },
    kernel: { release: '6.1.0-test', version: '#1 SMP' },
  });
  t.equal(facts.system.version, undefined, 'what firmware writes for "empty" is absent');
  t.same(facts.disks, [
    {
      name: 'nvme0n1',
      sizeBytes: 1_048_576,
      model: 'Fast',
      serial: 'N1',
      wwn: 'eui.01',
      rotational: false,
      removable: false,
    },
    { name: 'sda', sizeBytes: 2_097_152, model: 'Slow', wwn: 'naa.5', rotational: true, removable: false },
  ]);
  t.same(facts.interfaces, [
    {
      name: 'eno9',
      up: true,
      addresses: [],
      mac: '02:00:00:00:00:09',
      driver: 'mlx5_core',
      mtu: 9000,
      speedMbps: 25_000,
    },
  ]);
  t.equal(hasGaps(facts), false);
  t.equal(
    digestOfFacts(facts),
    digestOfFacts(JSON.parse(JSON.stringify(facts))),
    'the digest is of what is sent',
  );
});

t.test('a bare container: what could not be looked at is named', async (t) => {
  const facts = readFacts(
    new HostFiles(t.testdir({ proc: { 'device-tree': { model: 'Raspberry Pi 5\0' } } })),
  );
  t.same(factsSchema.parse(facts), facts);
  t.match(facts, { system: { product: 'Raspberry Pi 5' }, disks: [], os: { id: 'linux' } });
  t.same(Object.keys(facts.unread ?? {}).sort(), [
    'cpu.sockets',
    'interfaces',
    'machineId',
    'os',
    'system.vendor',
  ]);
  t.equal(hasGaps(facts), true);
});

t.test('gaps are closed where anybody knows, and nothing that is known is overwritten', async (t) => {
  const facts = readFacts(new HostFiles(t.testdir({ proc: { meminfo: 'MemTotal: 4 kB\n' } })));
  const fuller = await supplement(facts);
  t.same(factsSchema.parse(fuller), fuller);
  t.equal(fuller.memory.totalBytes, 4096);
  t.ok((fuller.cpu.model ?? '').length > 0, 'systeminformation read the real processor');
});

t.test('this host', async (t) => {
  t.same(readFacts(), readFacts(), 'looking twice gives the same');
  t.match(readBootInstance(), /^[0-9a-f-]{36}:[0-9]+$/);
  t.equal(readBootInstance(), readBootInstance());
});
