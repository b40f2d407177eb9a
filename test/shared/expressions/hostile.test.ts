/** Expressions made to hurt: whatever they are, they end soon, in a value or in a reason. */
import fc from 'fast-check';
import t from 'tap';
import { checkExpression } from '../../../shared/expressions/check.ts';
import {
  evaluateExpression,
  evaluateSelector,
  evaluateTemplate,
  referencesOf,
} from '../../../shared/expressions/evaluate.ts';
import { compileExpression } from '../../../shared/expressions/expression.ts';
import { matchGlob, parseGlob } from '../../../shared/expressions/glob.ts';
import { fromScopeValue, toScopeValue } from '../../../shared/expressions/scope.ts';
import { shapes } from '../../../shared/expressions/shape.ts';
import { parseTemplate } from '../../../shared/expressions/template.ts';
import { limits } from '../../../shared/limits.ts';

const nodes = Array.from({ length: 1_000 }, (_, index) => ({
  name: `n${index}`,
  labels: {},
  facts: { disks: [1, 2, 3] },
}));
const scope = { roles: { m: { nodes } }, params: { text: 'x'.repeat(10_000), same: nodes } };

const nested = (depth: number, at = 0): string =>
  at === depth ? '1' : `roles.m.nodes.map(v${at}, ${nested(depth, at + 1)})`;

const tooCostly = { ok: false, reason: /needs more than \d+ operations/ };
const tooDeep = { ok: false, reason: /nested too deeply|more than \d+ parts/ };
const tooLong = { ok: false, reason: /text of more than \d+ characters/ };

t.test('what is refused before it is evaluated', (t) => {
  const cases: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
    ['a long text', `"${'a'.repeat(5_000)}"`, /at most 4096 characters/],
    ['nothing', ' ', /is empty/],
    ['brackets', '['.repeat(2_000), /nested too deeply/],
    ['closed brackets', `${'['.repeat(1_000)}${']'.repeat(1_000)}`, /nested too deeply/],
    ['parentheses', `${'('.repeat(1_000)}1${')'.repeat(1_000)}`, /nested too deeply/],
    ['negations', `${'!'.repeat(4_000)}true`, /more than 2000 parts|nested too deeply/],
    ['minuses', `${'-'.repeat(4_000)}1`, /more than 2000 parts|nested too deeply/],
    ['a chain of fields', `params${'.a'.repeat(1_500)}`, /nested too deeply/],
    ['a chain of indexes', `params${'[0]'.repeat(1_000)}`, /nested too deeply/],
    ['ternaries', `${'true ? 1 : '.repeat(300)}1`, /nested too deeply/],
    ['sums', `1${'+1'.repeat(2_000)}`, /more than 2000 parts/],
    ['regular expressions', 'params.text.matches("(a+)+$")', /matches\(\) is left out/],
    ['bindings', 'cel.bind(x, params.text, x + x)', /no function \.bind\(\)/],
    ['the types of the library', 'type(1) == int', /no function type\(\)/],
    ['time', 'timestamp(0)', /no function timestamp\(\)/],
    ['a has that asks for nothing', 'has(params)', /has\(\) asks for a field/],
    ['prototypes', '__proto__.constructor', /there is no value "__proto__"|Reserved identifier/],
    ['a comment alone', '// nothing', /ends too early/],
  ];
  for (const [what, text, reason] of cases) {
    const compiled = compileExpression(text);
    t.match(compiled, { ok: false, message: reason }, what);
    t.same(referencesOf(text), [], what);
  }
  t.end();
});

t.test('what costs too much when it is evaluated', (t) => {
  t.match(
    evaluateExpression(`${nested(1)}.size()`, scope),
    { ok: true, value: 1_000 },
    'one loop is nothing',
  );
  for (const depth of [3, 6])
    t.match(evaluateExpression(nested(depth), scope), tooCostly, `${depth} loops in each other`);
  t.match(
    evaluateExpression(
      'roles.m.nodes.exists(a, roles.m.nodes.exists(b, roles.m.nodes.exists(c, c.name == "")))',
      scope,
    ),
    tooCostly,
  );
  t.match(
    evaluateExpression(`${nested(3)}.size() == 1 || true`, scope),
    tooCostly,
    'an error that || would hide',
  );
  const grow = `[[0]]${'.map(x, [x, x, x, x, x, x, x, x])'.repeat(36)}`;
  t.match(evaluateExpression(grow, scope), tooCostly, 'a value that is small only while it is shared');
  t.match(evaluateExpression(`${grow} == ${grow}`.slice(0, 4_000), scope), { ok: false });
  t.match(evaluateExpression(`[0]${'.map(x, [x] + [x])'.repeat(30)} == [0]`, scope), { ok: false });
  t.match(evaluateExpression('roles.m.nodes.all(n, params.same == roles.m.nodes)', scope), tooCostly);
  t.match(evaluateExpression('roles.m.nodes.exists(n, {"a": 1} in roles.m.nodes)', scope), tooCostly);
  t.end();
});

t.test('text that would fill the memory', (t) => {
  const double = (times: number) => `["x"]${'.map(s, s + s)'.repeat(times)}`;
  t.match(evaluateExpression(`${double(30)}[0].size()`, scope), tooLong);
  t.match(evaluateExpression('params.text.replace("x", params.text)', scope), tooLong);
  t.match(evaluateExpression('roles.m.nodes.map(n, params.text).join(params.text)', scope), tooLong);
  t.match(
    evaluateExpression('roles.m.nodes.map(n, params.text + n.name)', scope),
    { ok: true },
    'ten megabytes in a list are a value',
  );
  t.match(evaluateExpression('params.text.split("").map(c, params.text)', scope), tooCostly);
  t.end();
});

t.test('a deep template and a deep value end in a reason', (t) => {
  const deep = Array.from({ length: 30 }).reduce<unknown>((inside) => [inside], '${{ params.gone }}');
  t.match(evaluateTemplate(deep, scope), { ok: false, reason: 'params.gone is missing' });
  t.match(evaluateExpression(`${'['.repeat(39)}${']'.repeat(39)}`, {}), { ok: true });
  t.match(evaluateExpression(`${'['.repeat(41)}${']'.repeat(41)}`, {}), tooDeep);
  t.end();
});

t.test('more expressions than are kept', (t) => {
  for (let index = 0; index <= limits.expressionsCachedMax; index++) compileExpression(`${index} == 1`);
  t.not(compileExpression('0 == 1'), undefined, 'the oldest is compiled anew');
  t.equal(compileExpression('7 == 1'), compileExpression('7 == 1'));
  t.end();
});

const words = fc.constantFrom(
  ...[
    'params',
    'node',
    'labels',
    'steps',
    'x',
    'map',
    'filter',
    'exists',
    'has',
    'size',
    'true',
    'null',
    '1',
    '2.5',
    '"s"',
  ],
  ...[
    '.',
    '.',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    '?',
    '+',
    '-',
    '*',
    '/',
    '%',
    '==',
    '!=',
    '<',
    '&&',
    '||',
    '!',
    'in',
    ' ',
    '\n',
    '${{',
    '}}',
    "'",
    '"',
    '\\',
  ],
);
const soup = fc.array(words, { maxLength: 60 }).map((list) => list.join(''));
const anyText = fc.oneof(soup, fc.string({ maxLength: 200 }), fc.string({ unit: 'binary', maxLength: 100 }));

t.test('no text at all makes anything throw', (t) => {
  const place = {
    title: 'if',
    values: shapes.object('values', {
      params: { shape: shapes.any },
      node: { shape: shapes.map(shapes.string) },
    }),
  };
  fc.assert(
    fc.property(anyText, fc.jsonValue(), (text, value) => {
      evaluateExpression(text, { params: value, node: value });
      evaluateSelector(text, { name: 'n', labels: { a: 'b' }, facts: value });
      evaluateTemplate([text, { a: `\${{ ${text} }}` }], { params: value });
      checkExpression(text, place, 'bool');
      parseTemplate(text);
    }),
    { numRuns: 600 },
  );
  t.end();
});

t.test('JSON comes out of a scope as it went in', (t) => {
  const spend = () => undefined;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const before: unknown = JSON.parse(JSON.stringify(value));
      const after = fromScopeValue(toScopeValue(before), spend);
      return JSON.stringify(after) === JSON.stringify(before);
    }),
  );
  t.end();
});

/** The obvious matcher, exponential in the number of `*`: what the real one must agree with. */
function obviousMatch(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === '*')
    return obviousMatch(rest, text) || (text.length > 0 && obviousMatch(pattern, text.slice(1)));
  const [character, ...more] = text;
  return character !== undefined && (first === '?' || first === character) && obviousMatch(rest, more);
}

t.test('globs', (t) => {
  const cases: readonly (readonly [pattern: string, text: string, fits: boolean])[] = [
    ['web-[0-9]?', 'web-12', true],
    ['web-[!0-9]*', 'web-12', false],
    ['web-[^0-9]*', 'web-x2', true],
    ['[]a]', ']', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['*é?', 'caf\u00e9\u{1F600}', true],
    ['', '', true],
    ['[a', 'a', false],
  ];
  for (const [pattern, text, fits] of cases) t.equal(matchGlob(pattern, text), fits, `${pattern} ${text}`);
  t.match(parseGlob('[z-a]'), { ok: false, message: /is empty/ });
  t.match(parseGlob('a\\'), { ok: false, message: /cannot end/ });
  t.match(parseGlob('a'.repeat(300)), { ok: false, message: /at most 256/ });
  t.equal(matchGlob('*a*a*a*a*a*a*a*a*a*b', 'a'.repeat(20_000)), false, 'many runs do not multiply');
  const letters = (...more: string[]) => fc.array(fc.constantFrom('a', 'b', ...more), { maxLength: 8 });
  fc.assert(
    fc.property(
      letters('*', '?'),
      letters(),
      (pattern, text) => matchGlob(pattern.join(''), text.join('')) === obviousMatch(pattern, text),
    ),
    { numRuns: 2_000 },
  );
  t.end();
});
