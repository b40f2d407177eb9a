/** The words that every picture is made of: node lists, measures, lines and tables. */
import t from 'tap';
import {
  cut,
  cutLine,
  formatLine,
  harmless,
  line,
  plainPaint,
  span,
  widthOf,
  wrap,
} from '../../../coordinator/cli/render/line.ts';
import { formatAge, formatBytes, formatDuration } from '../../../coordinator/cli/render/measures.ts';
import {
  byName,
  countedNames,
  expandNames,
  foldNames,
  selectorOf,
} from '../../../coordinator/cli/render/node-names.ts';
import { formatTable } from '../../../coordinator/cli/render/table.ts';
import { isAsciiOnly } from '../../../coordinator/cli/terminal.ts';

t.test('node lists fold where that is shorter, and unfold to the same', async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['n1', 'n1'],
    ['n1 n2', 'n1,n2'],
    ['n5 n3 n1', 'n1,n3,n5'],
    ['n1 n2 n3 n4 n5', 'n[1-5]'],
    ['n1 n2 n3 n7 n10 n11 n12', 'n[1-3,7,10-12]'],
    ['node1 node3 node5', 'node[1,3,5]'],
    ['n08 n09 n10 n11', 'n[08-11]'],
    ['n1 n2 n3 n01 n02 n03', 'n[1-3],n[01-03]'],
    ['rack1-n1 rack1-n2 rack1-n3 rack2-n1', 'rack1-n[1-3],rack2-n1'],
    ['web1.example.org web2.example.org web3.example.org', 'web[1-3].example.org'],
    ['alpha beta gamma', 'alpha,beta,gamma'],
    ['n1 n1 n1', 'n1'],
  ];
  for (const [names, folded] of cases) {
    t.equal(foldNames(names.split(' ')), folded);
    t.strictSame(expandNames(folded)?.sort(), [...new Set(names.split(' '))].sort(), `${folded} unfolds`);
  }
  t.equal(countedNames(['n1']), 'n1 (1 node)');
  t.equal(countedNames(['n1', 'n3', 'n5']), 'n1,n3,n5 (3 nodes)');
  t.strictSame(['n10', 'n9', 'n1'].sort(byName), ['n1', 'n9', 'n10']);
});

t.test('what people type to choose nodes becomes CEL', async (t) => {
  t.equal(selectorOf('all'), 'true');
  t.equal(selectorOf('false'), 'false');
  t.equal(selectorOf('n1'), 'name == "n1"');
  t.equal(selectorOf('n[1-3], web'), 'name in ["n1", "n2", "n3", "web"]');
  t.equal(selectorOf(' labels.rack == "a" '), 'labels.rack == "a"');
  t.equal(selectorOf('n[1-999999999]'), 'n[1-999999999]', 'no list is written out without a bound');
  t.equal(expandNames('n[3-1]'), undefined);
});

t.test('measures', async (t) => {
  t.strictSame([0, 1_249, 9_999, 12_345, 83_000, 7_500_000, 274_000_000].map(formatDuration), [
    '0.0s',
    '1.2s',
    '9.9s',
    '12s',
    '1m23s',
    '2h05m',
    '3d04h',
  ]);
  t.strictSame([-5, 59_000, 240_000, 7_200_000, 9e8].map(formatAge), ['0s', '59s', '4m', '2h', '10d']);
  t.strictSame([512, 1_536, 33_600_000_000].map(formatBytes), ['512 B', '1.5 KiB', '31.3 GiB']);
});

t.test('lines are cut by the columns that they take', async (t) => {
  t.equal(widthOf('naïve 日本'), 10);
  t.equal(cut('configure', 6), 'confi…');
  t.equal(cut('日本語', 4), '日…');
  const styled = [span('failed', 'bad'), span(' on n3')];
  t.equal(formatLine(cutLine(styled, 9), plainPaint), 'failed o…');
  t.equal(formatLine(cutLine(styled, 6), plainPaint), 'faile…');
  t.equal(formatLine(styled, { ...plainPaint, colour: true }), '\u001b[31mfailed\u001b[0m on n3');
  t.equal(formatLine(cutLine(styled, 12), plainPaint), 'failed on n3');
  const title = line('a \u001b[2Jtitle\u0007');
  t.equal(formatLine(title, { ...plainPaint, obeys: true }), 'a ·[2Jtitle·', 'nothing moves the cursor');
  t.equal(formatLine(title, plainPaint), 'a \u001b[2Jtitle\u0007', 'a pipe gets it as it is');
  t.strictSame(wrap('waits for a slot in upgrade', 12), ['waits for a', 'slot in', 'upgrade']);
});

t.test('the text of others cannot move the cursor', async (t) => {
  t.equal(harmless('\u001b[31mred\u001b[0m \u001b]0;title\u0007done'), 'red done');
  t.equal(harmless('10%\r50%\r100%'), '100%');
  t.equal(harmless('a\tb\u0000c\u009b2J'), 'a    b·c·2J');
});

t.test('tables align, and no cell is empty', async (t) => {
  const table = formatTable(
    [{ head: 'NODE' }, { head: 'JOBS', align: 'right' }, { head: 'LABELS' }],
    [
      ['n1', '3', 'rack=a'],
      ['longer', '12', ''],
      [[span('日本', 'good')], '', line('x')],
    ],
  );
  t.strictSame(
    table.map((row) => formatLine(row, plainPaint)),
    ['NODE    JOBS  LABELS', 'n1         3  rack=a', 'longer    12  -', '日本       -  x'],
  );
});

t.test('the locale says which glyphs can be shown', async (t) => {
  t.equal(isAsciiOnly({ LANG: 'C.UTF-8' }), false);
  t.equal(isAsciiOnly({ LANG: 'C.UTF-8', LC_ALL: 'POSIX' }), true);
  t.equal(isAsciiOnly({ TERM: 'xterm' }), false);
  t.equal(isAsciiOnly({ TERM: 'linux' }), true);
});
