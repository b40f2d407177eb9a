/** Outputs and environments: what scripts say to the agent and what they are told. */
import t from 'tap';
import { clashOf, environmentOf } from '../../../agent/core/environment.ts';
import { missingOutputs, parseOutputs } from '../../../agent/core/outputs.ts';
import { limits } from '../../../shared/limits.ts';
import type { OutputDeclaration } from '../../../shared/messages.ts';

const encoder = new TextEncoder();
const declared = (type: OutputDeclaration['type'], optional = false): OutputDeclaration => ({
  type,
  secret: false,
  optional,
});
const parse = (text: string | Uint8Array, declarations: Record<string, OutputDeclaration>) =>
  parseOutputs(typeof text === 'string' ? encoder.encode(text) : text, declarations);

t.test('values by their types', async (t) => {
  const declarations = {
    s: declared('string'),
    i: declared('int'),
    b: declared('bool'),
    j: declared('json'),
    f: declared('file'),
  };
  const text = 's=a=b <<c\ni=-42\n\nb=true\nj={"x":[1]}\nf=out/report.txt\nother=ignored\n';
  t.same(parse(text, declarations), {
    ok: true,
    values: { s: 'a=b <<c', i: -42, b: true, j: { x: [1] } },
    files: { f: 'out/report.txt' },
    reboot: false,
  });
  t.same(parse('', declarations), { ok: true, values: {}, files: {}, reboot: false });
  t.same(
    parse('s=\r', { s: declared('string') }),
    { ok: true, values: { s: '\r' }, files: {}, reboot: false },
    'bytes as they are',
  );
});

t.test('heredocs keep their lines, the last writing of a key counts', async (t) => {
  const declarations = { a: declared('string'), b: declared('json') };
  t.same(parse('a<<EOF\none\n\ntwo=2\nEOF\nb<<X Y\n[1,\n2]\nX Y\n', declarations), {
    ok: true,
    values: { a: 'one\n\ntwo=2', b: [1, 2] },
    files: {},
    reboot: false,
  });
  t.same(parse('a=1\na<<E\nE\na=3', declarations), {
    ok: true,
    values: { a: '3' },
    files: {},
    reboot: false,
  });
});

t.test('what cannot be read is refused with the line or key, never with the value', async (t) => {
  const secret = 'hunter2';
  const cases: [string, string | Uint8Array, RegExp][] = [
    ['no separator', `a=1\n${secret}\n`, /line 2 is neither KEY=value nor KEY<<MARK/],
    ['a bad key', `1a=${secret}\n`, /line 1 is neither/],
    ['no mark', `a<<\n${secret}\n`, /line 1 has no mark after a<</],
    ['no end', `a<<EOF\n${secret}\n`, /mark that line 1 announces for a never comes/],
    ['not an int', `i=${secret}\n`, /i is not a whole number/],
    ['an int beyond exactness', 'i=9007199254740993\n', /i is not a whole number/],
    ['not a bool', `b=${secret}\n`, /b is not "true" or "false"/],
    ['not JSON', `j={"${secret}\n`, /j is not JSON/],
    ['an empty path', 'f=\n', /f is not a path/],
    ['not UTF-8', Uint8Array.from([97, 61, 0xff, 10]), /not valid UTF-8/],
    ['too long a value', `a=${'x'.repeat(limits.outputValueBytesMax + 1)}\n`, /a has more than 65536 bytes/],
    ['control characters that swell in JSON', `a=${'\u0001'.repeat(20_000)}\n`, /a has more than/],
    ['numbers that swell', `j=[${'1e20,'.repeat(12_000)}1]\n`, /j has more than 65536 bytes/],
    ['too much text', 'x'.repeat(limits.outputTextBytesMax + 1), /more than 524288 bytes were written/],
  ];
  const declarations = {
    a: declared('string'),
    i: declared('int'),
    b: declared('bool'),
    j: declared('json'),
    f: declared('file'),
  };
  for (const [name, text, reason] of cases) {
    const parsed = parse(text, declarations);
    t.match(parsed, { ok: false, reason }, name);
    t.notMatch(JSON.stringify(parsed), secret, `${name} without the value`);
  }
  const many = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`k${n}`, declared('string')]));
  const text = Object.keys(many).map((key) => `${key}=${'x'.repeat(60_000)}\n`);
  t.match(parse(text.join(''), many), { ok: false, reason: /all together have more than 262144 bytes/ });
});

t.test('what is declared and was not written is named, unless it is optional', async (t) => {
  const declarations = {
    a: declared('string'),
    b: declared('file'),
    c: declared('int', true),
    d: declared('int'),
  };
  const parsed = parse('a=1\nb=x\n', declarations);
  t.ok(parsed.ok);
  if (parsed.ok) t.same(missingOutputs(parsed, declarations), ['d']);
});

t.test('an environment holds inputs as text or JSON, and the agent has the last word', async (t) => {
  const environment = environmentOf({
    base: { PATH: '/bin' },
    given: { LOCKSTEP_STEP: 'build', LOCKSTEP_NODE: 'forged' },
    params: { text: 'a b', number: 3, list: ['x'], nul: 'a\0b', long: 'é'.repeat(65_536), Upper: true },
    node: 'n1',
    attempt: 'r1/build/n1#1',
    paramsFile: '/p',
    outputFile: '/o',
    partsFile: '/t',
  });
  t.same(environment, {
    PATH: '/bin',
    LOCKSTEP_STEP: 'build',
    PARAM_TEXT: 'a b',
    PARAM_NUMBER: '3',
    PARAM_LIST: '["x"]',
    PARAM_UPPER: 'true',
    LOCKSTEP_NODE: 'n1',
    LOCKSTEP_ATTEMPT: 'r1/build/n1#1',
    LOCKSTEP_PARAMS: '/p',
    LOCKSTEP_OUTPUT: '/o',
    LOCKSTEP_PARTS: '/t',
  });
});

t.test('the longest string that an environment takes is passed', async (t) => {
  const parts = {
    base: {},
    given: {},
    node: 'n',
    attempt: 'a',
    paramsFile: 'p',
    outputFile: 'o',
    partsFile: 't',
  };
  const room = limits.environmentStringBytesMax - 'PARAM_X='.length - 1;
  t.ok('PARAM_X' in environmentOf({ ...parts, params: { x: 'y'.repeat(room) } }));
  t.notOk('PARAM_X' in environmentOf({ ...parts, params: { x: 'y'.repeat(room + 1) } }));
});

t.test('inputs that only differ by case clash', async (t) => {
  t.same(clashOf(['port', 'host', 'Port']), ['port', 'Port']);
  t.equal(clashOf(['port', 'ports']), undefined);
});
