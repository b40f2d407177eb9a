/** What expressions give: selectors, conditions, until, templates, and every function of the table. */
import t from 'tap';
import {
  evaluateCondition,
  evaluateExpression,
  evaluatePreference,
  evaluateSelector,
  evaluateTemplate,
  evaluateUntil,
  referencesInTemplate,
  referencesOf,
} from '../../../shared/expressions/evaluate.ts';
import { functionNames, functions } from '../../../shared/expressions/functions.ts';
import { toScopeParams, toScopeValue } from '../../../shared/expressions/scope.ts';

const node = {
  name: 'n1',
  labels: { use: 'etcd', rack: 'r1', constructor: 'odd', 'example.org/tier': 'gold' },
  facts: {
    memory: { totalBytes: 4e9 },
    cpu: { cores: 4 },
    disks: [{ name: 'sda' }, { name: 'sdb', model: 'm' }],
  },
};

/** What a selector comes to, in one word or sentence. */
function selected(text: string): string {
  const result = evaluateSelector(text, node);
  if (!result.ok) return result.reason;
  return result.missing.length === 0
    ? `${result.value}`
    : `${result.value}, missing ${result.missing.join(', ')}`;
}

t.test('selectors', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['labels.use == "etcd" && facts.memory.totalBytes >= 1073741824', 'true'],
    ['true', 'true'],
    ['labels["example.org/tier"] == "gold" && name.glob("n?")', 'true'],
    ['labels.constructor == "odd"', 'true'],
    // What is missing makes the whole selector false, also under "not".
    ['labels.zone == "a"', 'false, missing labels.zone'],
    ['!(labels.zone == "a")', 'false, missing labels.zone'],
    ['labels.zone != "a"', 'false, missing labels.zone'],
    ['facts.system.serial == "x"', 'false, missing facts.system'],
    ['facts.disks.exists(d, d.model == "other")', 'false, missing facts.disks.*.model'],
    ['facts.disks[7].name == "x"', 'false, missing facts.disks.*'],
    // Unless the expression does without it.
    ['labels.zone == "a" || labels.use == "etcd"', 'true'],
    ['facts.disks.exists(d, d.model == "m")', 'true'],
    ['has(labels.zone) ? labels.zone == "a" : labels.rack == "r1"', 'true'],
    ['has(labels["zone"])', 'false'],
    ['has(facts.system.serial.deep)', 'false'],
    ['has(labels["example.org/tier"])', 'true'],
    // Types are never silently different.
    ['labels.use == 1', '"==" compares a string with a number, which are never equal'],
    ['1 != labels.use', '"!=" compares a number with a string, which are never equal'],
    ['facts.disks == "sda"', '"==" compares a list with a string, which are never equal'],
    ['labels == facts.disks', '"==" compares a map with a list, which are never equal'],
    ['labels.use in [1, 2]', '"in" looks for a string in a list that has none'],
    ['labels.use > 3', '">" does not work on string and int'],
    ['facts.cpu.cores == 4.0 && facts.cpu.cores in [1.0, 4.0] && labels.use != null', 'true'],
    ['labels.use', 'the condition gave etcd instead of true or false'],
    ['nowhere == 1', 'there is no value "nowhere"'],
    ['labels.use.matches("e")', 'matches() is left out: a regular expression can take forever'],
  ];
  for (const [text, expected] of cases) t.equal(selected(text), expected, text);
  t.end();
});

t.test('a node whose facts are not known is not selected by them', (t) => {
  const scope = { name: 'n', labels: {}, facts: undefined };
  t.same(evaluateSelector('facts.cpu.cores > 1', scope), { ok: true, value: false, missing: ['facts.cpu'] });
  t.end();
});

t.test('preferences', (t) => {
  t.same(evaluatePreference('facts.cpu.cores * -1', node), { ok: true, value: -4 });
  t.same(evaluatePreference('labels.zone', node), { ok: true, value: null }, 'a missing label gives no key');
  t.match(evaluatePreference('labels', node), { ok: false });
  t.end();
});

t.test('conditions name what is missing instead of guessing', (t) => {
  const scope = { node: { name: 'n', labels: {} } };
  t.same(evaluateCondition('node.labels.zone == "a"', scope), {
    ok: false,
    reason: 'node.labels.zone is missing',
  });
  t.same(evaluateCondition('has(node.labels.zone) && node.labels.zone == "a"', scope), {
    ok: true,
    value: false,
  });
  t.end();
});

t.test('until: an output that is not written yet means not yet', (t) => {
  const scope = { outputs: { healthy: 3 }, params: { want: 3 }, node: {}, exitCode: 0, iteration: 2 };
  t.same(evaluateUntil('outputs.healthy == params.want && iteration == 2', scope), {
    ok: true,
    value: true,
    missing: [],
  });
  t.same(evaluateUntil('outputs.ready', scope), { ok: true, value: false, missing: ['outputs.ready'] });
  t.same(evaluateUntil('params.gone == 1', scope), { ok: false, reason: 'params.gone is missing' });
  t.end();
});

t.test('templates', (t) => {
  const scope = {
    params: { size: 3, ratio: 0.5, on: true, name: 'db', none: null, list: [1, { a: 'x' }] },
    roles: {
      m: {
        nodes: [
          { name: 'a', address: '10.0.0.1' },
          { name: 'b', address: '10.0.0.2' },
        ],
        leader: { name: 'c' },
      },
    },
  };
  const cases: readonly (readonly [template: unknown, expected: unknown])[] = [
    ['plain', 'plain'],
    ['${{ params.size }}', 3],
    ['  ${{ params.size }}', '  3'],
    ['${{params.list}}', [1, { a: 'x' }]],
    [
      '${{ params.name }}-${{ params.size }}-${{ params.ratio }}-${{ params.on }}-${{ params.none }}',
      'db-3-0.5-true-null',
    ],
    ['list: ${{ params.list }}', 'list: [1,{"a":"x"}]'],
    ['$${{ params.size }} and $$ and }}', '${{ params.size }} and $$ and }}'],
    ['$$${{ params.size }}', '$${{ params.size }}'],
    ['${{ {"a": {"b": 1}} }}', { a: { b: 1 } }],
    ['${{ "}}" + \'}}\' + r"\\d}}" + """}}""" }}', '}}}}\\d}}}}'],
    ['${{ "a\\"}}" }}', 'a"}}'],
    [{ deep: ['${{ params.size + 1 }}', { '${{ key }}': 7 }] }, { deep: [4, { '${{ key }}': 7 }] }],
    [
      '${{ roles.m.nodes.map(n, n.name + "=http://" + addressOf(n) + ":2380").join(",") }}',
      'a=http://10.0.0.1:2380,b=http://10.0.0.2:2380',
    ],
  ];
  for (const [template, expected] of cases) {
    t.same(evaluateTemplate(template, scope), { ok: true, value: expected }, JSON.stringify(template));
  }
  const faults: readonly (readonly [template: string, reason: string])[] = [
    ['${{ params.size', 'this "${{" has no "}}"'],
    ['${{ params.gone }}', 'params.gone is missing'],
    ['${{ addressOf(roles.m.leader) }}', 'node c has no address that is known to the coordinator'],
    [
      '${{ addressOf(params.name) }}',
      'addressOf() needs a node, such as roles.NAME.leader or an element of roles.NAME.nodes',
    ],
    ['${{ params.size / 0 }}', 'division by zero'],
    ['${{ 9007199254740993 }}', '9007199254740993 is beyond the whole numbers that JSON carries exactly'],
    ['${{ 1.0 / 0.0 }}', 'Infinity is not a number that JSON can carry'],
    ['${{ 99999999999999999999 }}', 'the number is too large for a whole number of 64 bits'],
    ['${{ b"bytes" }}', 'bytes and unsigned numbers do not exist here'],
  ];
  for (const [template, reason] of faults)
    t.same(evaluateTemplate(template, scope), { ok: false, reason }, template);
  t.end();
});

t.test('every function of the table gives what its meaning says', (t) => {
  const scope = {
    node: { name: 'n', address: '::1', labels: { a: 'x' } },
    params: { list: ['b', 'a', 'b'], text: ' Ab,cd ' },
    outcome: 'failed',
  };
  const examples: Readonly<Record<string, readonly (readonly [text: string, value: unknown])[]>> = {
    has: [['has(node.labels.b)', false]],
    failed: [['failed() && params.list.all(x, failed() || x == "z")', true]],
    cancelled: [['cancelled() ? 1 : 2', 2]],
    size: [
      ['size(params.list)', 3],
      ['params.text.size()', 7],
      ['size(node)', 3],
    ],
    string: [['string(3) + string(true)', '3true']],
    int: [['int("7") + int(2.9)', 9]],
    double: [['double("1.5") + double(1)', 2.5]],
    bool: [['bool("true")', true]],
    addressOf: [
      ['addressOf(node)', '::1'],
      ['addressOf(node, node)', '::1'],
    ],
    all: [['params.list.all(x, x < "c")', true]],
    exists: [['params.list.exists(x, x == "a")', true]],
    exists_one: [['params.list.exists_one(x, x == "b")', false]],
    filter: [['params.list.filter(x, x == "b")', ['b', 'b']]],
    map: [
      ['params.list.map(x, x + x)', ['bb', 'aa', 'bb']],
      ['params.list.map(x, x == "a", x + x)', ['aa']],
    ],
    join: [['params.list.join("-")', 'b-a-b']],
    sort: [
      ['params.list.sort()', ['a', 'b', 'b']],
      ['[3, 1, 2].sort()', [1, 2, 3]],
    ],
    distinct: [['params.list.distinct()', ['b', 'a']]],
    min: [
      ['params.list.min()', 'a'],
      ['[2, 1].min()', 1],
    ],
    max: [['params.list.max()', 'b']],
    glob: [['"web-12".glob("web-[0-9]*")', true]],
    startsWith: [['"abc".startsWith("ab")', true]],
    endsWith: [['"abc".endsWith("bc")', true]],
    contains: [['"abc".contains("b")', true]],
    indexOf: [['"abcb".indexOf("b")', 1]],
    lastIndexOf: [['"abcb".lastIndexOf("b")', 3]],
    substring: [['"abcd".substring(1, 3)', 'bc']],
    split: [['"a,b".split(",")', ['a', 'b']]],
    replace: [
      ['"aaa".replace("a", "b", 2)', 'bba'],
      ['"a.a".replace(".", "")', 'aa'],
    ],
    lowerAscii: [['params.text.lowerAscii()', ' ab,cd ']],
    upperAscii: [['params.text.upperAscii()', ' AB,CD ']],
    trim: [['params.text.trim()', 'Ab,cd']],
  };
  for (const { name } of functions) t.ok(examples[name], `${name} has an example`);
  for (const [name, list] of Object.entries(examples)) {
    t.ok(functionNames.functions.has(name) || functionNames.methods.has(name), `${name} is in the table`);
    for (const [text, value] of list) t.same(evaluateExpression(text, scope), { ok: true, value }, text);
  }
  const faults: readonly (readonly [text: string, reason: string | RegExp])[] = [
    ['[1, "a"].sort()', 'sort() needs elements of one type, not strings and numbers'],
    ['[[1]].min()', 'min() needs a list of strings or of numbers'],
    ['params.list.filter(x, x == "z").max()', 'max() of an empty list has no value'],
    ['"a".replace("", "b")', 'replace() needs something to search for'],
    ['"a".glob("[")', 'a "[" in a glob needs a "]" (or write "\\[")'],
    ['int("x")', /cannot convert to int/],
  ];
  for (const [text, reason] of faults) t.match(evaluateExpression(text, scope), { ok: false, reason }, text);
  t.end();
});

t.test('a double stays one when its value is whole', (t) => {
  const params = toScopeParams({ ratio: 3, count: 3, gone: undefined }, { ratio: { type: 'double' } });
  t.same(evaluateExpression('params.ratio / 2.0', { params }), { ok: true, value: 1.5 });
  t.same(evaluateExpression('params.count / 2', { params }), { ok: true, value: 1 });
  t.same(evaluateExpression('has(params.gone)', { params }), { ok: true, value: false });
  const converted = toScopeValue({ a: 1 });
  t.equal(toScopeValue(converted), converted, 'what was converted passes through');
  t.end();
});

t.test('keys of maps mean nothing special', (t) => {
  const labels: unknown = JSON.parse('{"__proto__": "a", "constructor": "b", "toString": "c"}');
  const scope = { params: labels };
  t.same(evaluateExpression('params.toString + params.constructor + params["__proto__"]', scope), {
    ok: true,
    value: 'cba',
  });
  t.same(evaluateExpression('has(params.valueOf)', scope), { ok: true, value: false });
  const value = evaluateExpression('params', scope);
  t.equal(
    JSON.stringify(value.ok ? value.value : null),
    '{"__proto__":"a","constructor":"b","toString":"c"}',
  );
  t.end();
});

t.test('what an expression reads', (t) => {
  const paths = (text: string) => referencesOf(text).map(({ path }) => path.join('.'));
  t.same(paths('params.token + steps["a-b"].outputs.x'), ['params.token', 'steps.a-b.outputs.x']);
  t.same(paths('roles.m.nodes.filter(n, n.labels.a == "x").map(m, m.name)'), [
    'roles.m.nodes',
    'roles.m.nodes.*.labels.a',
    'roles.m.nodes.*.name',
  ]);
  t.same(paths('has(steps.a.outputs.t) ? params[node.name] : cluster'), [
    'steps.a.outputs.t',
    'params.*',
    'node.name',
    'cluster',
  ]);
  t.same(
    paths('[1, 2].map(x, x + params.n)'),
    ['params.n'],
    'variables over values that are made here are none',
  );
  t.same(paths('1 +'), []);
  const template = { a: ['x ${{ params.a }}${{ node.name }}'], b: 3, c: '$${{ params.c }}' };
  t.same(
    referencesInTemplate(template).map(({ path }) => path.join('.')),
    ['params.a', 'node.name'],
  );
  t.end();
});
