/** YAML that is broken, hides something, or is made to hurt: always a finding with its place, and soon. */
import fc from 'fast-check';
import t from 'tap';
import { isScalar, parseDocument, stringify } from 'yaml';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { limits } from '../../../shared/limits.ts';
import { offsetInScalar } from '../../../shared/pipeline/scalar.ts';
import { readSource } from '../../../shared/pipeline/source.ts';
import { findings } from './reading.ts';

function read(text: string): unknown {
  const result = readSource('f', text);
  return result.ok ? result.source.value : result.diagnostics.map((each) => formatDiagnostic(each).slice(2));
}

t.test('what is not let through', (t) => {
  const cases: readonly (readonly [what: string, text: string, ...expected: string[]])[] = [
    ['nothing', '', '1:1: error: the file is empty (expected a map that begins with "kind:")'],
    ['a comment', '# x\n', '1:1: error: the file is empty (expected a map that begins with "kind:")'],
    ['a tab', 'a:\n\tb: 1', '2:1: error: a tab cannot indent YAML (expected spaces)'],
    ['a key twice', 'x: 1\na: 1\na: 2', '3:1: error: the key "a" stands in this map twice'],
    [
      'two documents',
      'a: 1\n---\nb: 2',
      '2:1: error: a second document begins here (expected one document in one file)',
    ],
    [
      'an open quote',
      'a: "x\nb: 1',
      '2:5: error: something before this is not closed (expected a closing quote, bracket or ":")',
    ],
    [
      'a colon in a text',
      'run: echo a: b',
      '1:6: error: a ": " inside a text without quotes begins another map (expected the text in quotes, or on its own lines after "|")',
    ],
    [
      'a reserved character',
      'run: @x',
      '1:6: error: a text cannot begin with this character (expected the text in quotes)',
    ],
    ['bad indentation', 'a:\n  - b\n c: 1', '3:1: error: this line is not indented like its neighbours'],
    [
      'a key between a list and its entry',
      'a:\n  - b: 1\n    c: 2\n   d: 3',
      '4:1: error: this line is indented like neither an entry of the list nor what is in one (expected the indentation of the keys before it, or "- ")',
    ],
    ['an open bracket', 'a: [1\nb: 2', '2:1: error: a bracket before this is not closed (expected "]")'],
    ['a tag', 'a: !!js/function x', '1:4: error: YAML tags are not used here (expected the text in quotes)'],
    [
      'an alias to nothing',
      'a: *x',
      '1:4: error: the alias *x names nothing before it (expected an anchor &x)',
    ],
    ['an alias to itself', 'a: &a\n  b: *a', '2:6: error: the alias *a stands inside what it names'],
    [
      'keys that mean something else',
      '<<: 1\n__proto__: 2\n3: 4\n[a]: 5',
      '1:1: error: "<<" cannot be a key here (expected the keys written out)',
      '2:1: error: "__proto__" cannot be a key here (expected the keys written out)',
      '3:1: error: a key must be text (expected a word, or the key in quotes)',
      '4:1: error: a key must be text (expected a word, or the key in quotes)',
    ],
    [
      'numbers that would change',
      'a: 9007199254740993\nb: 1e400',
      '1:4: error: this number is too large to be kept exactly (expected a smaller number, or text in quotes)',
      '2:4: error: this is not a number (expected a finite number)',
    ],
    ['binary', 'a: \0', '1:4: error: the file is not text in UTF-8 (expected characters, not binary data)'],
    [
      'another encoding',
      'a:\n  - caf\uFFFD',
      '2:8: error: the file is not text in UTF-8 (expected characters, not binary data)',
    ],
  ];
  for (const [what, text, ...expected] of cases) t.strictSame(read(text), expected, what);
  t.end();
});

t.test('what is let through', (t) => {
  t.same(read('a: &x { b: [1, 2.5, true, null, ~, "1"] }\nc: *x\non: yes'), {
    a: { b: [1, 2.5, true, null, null, '1'] },
    c: { b: [1, 2.5, true, null, null, '1'] },
    on: 'yes',
  });
  t.equal(JSON.stringify(read('constructor: 1\ntoString: { a: 2 }')), '{"constructor":1,"toString":{"a":2}}');
  t.same(read('a: 1\r\nb: |\r\n  x\r\n'), { a: 1, b: 'x\n' });
  t.end();
});

t.test('files made to hurt', (t) => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij'].map((name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdefghij'[index]}`).join(',')}]`).join('\n')}`;
  const cases: readonly (readonly [what: string, text: string, expected: RegExp])[] = [
    ['an alias bomb', bomb, /follows more than 100 aliases/],
    ['a megabyte of brackets', '['.repeat(limits.pipelineFileBytesMax), /nested more than 60 levels deep/],
    ['a megabyte of braces', '{'.repeat(limits.pipelineFileBytesMax), /nested more than 60 levels deep/],
    ['a megabyte of dashes', '- '.repeat(limits.pipelineFileBytesMax / 2), /more than 200000 YAML tokens/],
    ['fewer dashes', '- '.repeat(10_000), /nested more than 60 levels deep/],
    ['a megabyte of quotes', '"'.repeat(limits.pipelineFileBytesMax), /more than 200000 YAML tokens/],
    [
      'maps in maps',
      Array.from({ length: 500 }, (_, depth) => `${' '.repeat(depth)}k:`).join('\n'),
      /nested more than 60 levels deep/,
    ],
    [
      'too many keys',
      Array.from({ length: 100_000 }, (_, index) => `k${index}: 1`).join('\n'),
      /more than 200000 YAML tokens/,
    ],
    ['too long', 'a'.repeat(limits.pipelineFileBytesMax + 1), /longer than 1048576 bytes/],
    ['anchors without end', '&a '.repeat(50_000), /not YAML/],
  ];
  for (const [what, text, expected] of cases) {
    const result = findings(text);
    t.ok(
      result.length > 0 && result.length <= limits.diagnosticsMax + 1,
      `${what}: a bounded number of findings`,
    );
    t.match(result.join('\n'), expected, what);
  }
  t.end();
});

const styles = ['PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const;
const letters = fc.array(
  fc.constantFrom('a', 'b', 'é', "'", '"', '\\', ' ', ' ', '\n', '\t', ':', '#', '$', '{', '}'),
  { maxLength: 120 },
);

t.test('every character of a text is found where it is written', (t) => {
  fc.assert(
    fc.property(
      letters,
      fc.constantFrom(...styles),
      fc.integer({ min: 20, max: 80 }),
      (characters, style, lineWidth) => {
        const value = characters.join('');
        const text = stringify(
          { before: 1, list: [{ value }] },
          { defaultStringType: style, lineWidth, minContentWidth: 0 },
        );
        const scalar = parseDocument(text).getIn(['list', 0, 'value'], true);
        if (!isScalar(scalar) || scalar.value !== value) return true;
        for (const [offset, character] of [...value].entries()) {
          // White space may be written as something else, escapes too; the others must be hit exactly.
          if (!/[abé:#${}]/.test(character)) continue;
          const at = offsetInScalar(text, scalar, offset);
          const written = text[at] === '\\' ? character : text[at];
          if (written !== character) throw new Error(`${JSON.stringify({ text, offset, character, at })}`);
        }
        return true;
      },
    ),
    { numRuns: 3_000 },
  );
  t.end();
});
