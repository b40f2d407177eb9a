/** Parts of the HTTP edge that have rules of their own: ranges of bytes, generated values, text of logs. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { readRange, readRest } from '../../../coordinator/http/byte-range.ts';
import { generateValues } from '../../../coordinator/http/generated-values.ts';
import { LogText, lineOfPiece } from '../../../coordinator/http/log-text.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';

t.test('ranges', (t) => {
  const cases: [string | undefined, ReturnType<typeof readRange>][] = [
    [undefined, 'whole'],
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=2-', { start: 2, end: 10 }],
    ['bytes=2-99', { start: 2, end: 10 }],
    ['bytes=-4', { start: 6, end: 10 }],
    ['bytes=-99', { start: 0, end: 10 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=5-4', 'whole'],
    ['bytes=0-1,3-4', 'whole'],
    ['lines=1-2', 'whole'],
    ['bytes=-', 'whole'],
  ];
  for (const [header, range] of cases) t.same(readRange(header, 10), range, String(header));
  t.equal(readRange('bytes=0-', 0), 'unsatisfiable');
  t.end();
});

t.test('what a request brings of how much', (t) => {
  t.same(readRest(undefined, 10), { start: 0, size: 10 });
  t.equal(readRest(undefined, null), null);
  t.same(readRest('bytes 4-9/10', 6), { start: 4, size: 10 });
  for (const [header, length] of [
    ['bytes 4-8/10', 5],
    ['bytes 4-9/10', 5],
    ['bytes 4-9/10', null],
    ['bytes 10-9/10', 0],
    ['bytes 4-9/*', 6],
    ['items 4-9/10', 6],
  ] as const)
    t.throws(() => readRest(header, length), { code: 'invalid' }, header);
  t.end();
});

t.test('generated values', (t) => {
  const parsed = parsePipeline({
    file: 'x.yaml',
    text: `kind: pipeline
name: x
params:
  hex: { type: string, generate: { hex: 16 } }
  password: { type: string, generate: { password: 40 } }
  uuid: { type: string, generate: { uuid: true } }
  given: { type: string, default: x }
roles: { all: { select: 'true' } }
steps: [{ id: a, on: all, run: 'true' }]
`,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  const random = (bytes: number): string => randomBytes(bytes).toString('hex');
  const values = generateValues(parsed.pipeline, random);
  t.match(values, {
    hex: /^[0-9a-f]{32}$/,
    password: /^[a-zA-Z2-9]{40}$/,
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  });
  t.notOk('given' in values);
  t.not(generateValues(parsed.pipeline, random).password, values.password);
  t.end();
});

t.test('log text', (t) => {
  const bytes = (attempt: string, text: string | Uint8Array, offset = 0) => ({
    attempt,
    piece: { kind: 'text' as const, stream: 'stdout' as const, offset, bytes: Buffer.from(text) },
  });
  const named = new LogText(true);
  t.equal(named.take(bytes('r1/a/n1#1', 'one\ntw')), 'n1 a | one\n');
  t.equal(
    named.take(bytes('r1/a/n2#1', 'other\n')),
    'n2 a | other\n',
    'lines of two jobs do not run into each other',
  );
  t.equal(named.take(bytes('r1/a/n1#1', 'o\n\nthree')), 'n1 a | two\nn1 a | \n');
  t.equal(
    named.take({ attempt: 'r1/a/n1#1', piece: { kind: 'gap', stream: 'stdout', offset: 9, bytes: 5 } }),
    'n1 a | three\nn1 a | [5 bytes are missing]\n',
  );
  t.equal(named.take(bytes('r1/a/n2#1', 'never ended')), '');
  t.equal(named.end(), 'n2 a | never ended\n');

  const plain = new LogText(false);
  t.equal(plain.take(bytes('r1/a/n1#1', Uint8Array.of(0x61, 0xc3))), 'a', 'half a character waits');
  t.equal(plain.take(bytes('r1/a/n1#1', Uint8Array.of(0xa9, 0x0a))), 'é\n');

  t.same(JSON.parse(lineOfPiece(bytes('r1/a/n1#1', 'x', 3))), {
    attempt: 'r1/a/n1#1',
    step: 'a',
    node: 'n1',
    stream: 'stdout',
    offset: 3,
    text: 'x',
  });
  t.match(JSON.parse(lineOfPiece(bytes('r1/a/n1#1', Uint8Array.of(0xff)))), { base64: '/w==' });
  t.end();
});
