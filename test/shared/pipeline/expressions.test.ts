/** Expressions of a pipeline at their places: names, types, order, secrets, and where in the file a finding is. */
import t from 'tap';
import { findings } from './reading.ts';

const head = `kind: pipeline
name: p
params: { size: { type: int, default: 3 }, key: { secret: true }, conf: { type: json, default: {} } }
roles: { all: {}, lead: {}, maybe: { optional: true } }
steps:
  - { id: first, on: lead.leader, run: x, outputs: { n: int, token: { type: string, secret: true }, log: { type: file, optional: true } } }
  - { id: many-nodes, on: all, run: x, outputs: { key: string } }
  - { id: odd, on: lead.leader, run: x, if: params.size > 3, outputs: { n: int } }
  - { id: web, on: all, run: x, provides: { service: web, port: 80 } }
`;
/**
 * What a case says is the step on line 10. Findings begin with the characters that they point at, which says
 * more than a column; warnings are not what this is about.
 */
function errors(step: string): readonly string[] {
  const line = `  - { id: last, on: all, run: x, ${step} }`;
  const found = findings(`${head}${line}\n`).filter((each) => each.includes(': error: '));
  return found.map((each) =>
    each.replace(/^10:(\d+): error/, (_, column) => line.slice(column - 1, Number(column) + 9)),
  );
}

const cases: readonly (readonly [what: string, step: string, ...expected: string[]])[] = [
  [
    'all is well',
    `if: 'node.labels.rack == "a" && size(roles.all.nodes) > params.size', with: { a: "\${{ steps.first.outputs.n + 1 }}", b: "\${{ services.web.endpoints.map(e, e.address).join(',') }}", c: "\${{ steps['many-nodes'].nodes[node.name].outputs.key }}" }`,
  ],
  [
    'names that are wrong',
    'if: "params.sise > 1 || node.fact.memory.totalBytes > 1 || roles.al.nodes.size() > 1 || cluster.nam == node.name"',
    'sise > 1 |: params have no "sise" (expected one of size, key, conf; did you mean "size"?)',
    'fact.memor: a node has no "fact" (expected one of name, labels, facts, address; did you mean "facts"?)',
    'al.nodes.s: roles have no "al" (expected one of all, lead, maybe; did you mean "all"?)',
    'nam == nod: cluster has no "nam" (did you mean "name"?)',
  ],
  [
    'facts that no agent reports',
    'if: node.facts.memory.totlBytes > 1',
    'totlBytes : facts.memory has no "totlBytes" (did you mean "totalBytes"?)',
  ],
  [
    'types that do not fit',
    'if: node.facts.memory.totalBytes == "large"',
    'node.facts: "==" does not work on int and string',
  ],
  [
    'a condition that is none',
    'if: params.size + 1',
    'params.siz: the expression gives an int (expected a comparison or another bool)',
  ],
  [
    'an expression in the wrong dress',
    'if: "${{ params.size > 1 }}"',
    '"${{ param: if is an expression by itself (expected the expression without ${{ }})',
  ],
  ['syntax', 'if: params.size >', ' }: the expression ends too early'],
  ['one equals sign', 'if: params.size = 1', '= 1 }: a single "=" means nothing here: write "=="'],
  [
    'functions',
    `if: 'node.name.matches("a.*") || node.name.lenght() > 3 || size.node.name > 1'`,
    'node.name.: matches() is left out: a regular expression can take forever (expected glob, as in labels.name.glob("web-*"))',
    'node.name.: there is no function .lenght()',
    'size.node.: there is no value "size"',
  ],
  [
    'outputs that are not declared',
    'with: { a: "${{ steps.first.outputs.m }}" }',
    'm }}" } }: the outputs of step first have no "m" (expected one of n, token, log)',
  ],
  [
    'outputs of a step on many nodes',
    `with: { a: "\${{ steps['many-nodes'].outputs.key }}" }`,
    'outputs.ke: step many-nodes may run on several nodes, so its outputs belong to a node each (expected steps["many-nodes"].nodes["NAME"].outputs)',
  ],
  [
    'a dash that is a minus',
    'with: { a: "${{ steps.many-nodes.nodes }}" }',
    'many-nodes: steps have no "many" (expected steps["many-nodes"])',
    'nodes.node: there is no value "nodes" (expected one of params, node, target, targets, cluster, roles, steps, services; did you mean "node"?)',
  ],
  [
    'outputs that may be missing',
    'with: { a: "${{ steps.odd.outputs.n }}", b: "${{ has(steps.odd.outputs.n) ? steps.odd.outputs.n : 0 }}", c: "${{ roles.maybe.leader.name }}", d: "${{ services.other.endpoints }}" }',
    'n }}", b: : steps.odd.outputs.n may be missing: step odd has an "if" (expected has(steps.odd.outputs.n) ? steps.odd.outputs.n : …)',
    'leader.nam: roles.maybe.leader may be missing: role maybe is optional (expected has(roles.maybe.leader) ? roles.maybe.leader : …)',
    'other.endp: services.other may be missing: no step of this pipeline provides it (expected has(services.other) ? services.other : …)',
  ],
  [
    'what is not done yet',
    'needs: [], with: { a: "${{ steps.first.outputs.n }}", b: "${{ services.web.endpoints }}", c: "${{ steps.last.nodes }}" }',
    'first.outp: step first is not always done before last (expected "first" among its needs)',
    'web.endpoi: service web is not always there before last (expected web among its needs)',
    'last.nodes: step last cannot read what it puts out itself (expected an earlier step)',
  ],
  [
    'what other nodes may not have done',
    `needs: [first, { step: many-nodes, same: node }], with: { a: "\${{ steps['many-nodes'].nodes['n1'].outputs.key }}" }`,
    `'many-node: step last waits for many-nodes on its own node only, and other nodes may not be done (expected "many-nodes" among its needs)`,
  ],
  [
    'names that are computed',
    `with: { a: "\${{ steps[params.size == 1 ? 'first' : 'odd'] }}", b: "\${{ roles }}" }`,
    'steps[para: steps cannot be read as a whole, or by a name that is computed (expected steps.NAME)',
    'roles }}" : roles cannot be read as a whole, or by a name that is computed (expected roles.NAME)',
  ],
  [
    'secrets where they would show',
    'if: params.key == "x" || steps.first.outputs.token == "y" || params == params, provides: { service: s, address: "${{ params.key }}" }',
    'params.key: params.key is secret and cannot stand in if: what that decides can be seen',
    'steps.firs: steps.first.outputs.token is secret and cannot stand in if: what that decides can be seen',
    'params == : params.key is secret and cannot stand in if: what that decides can be seen',
    'params, pr: params.key is secret and cannot stand in if: what that decides can be seen',
    '"${{ param: address reads a secret, but services are known to all',
  ],
  [
    'until reads what the node knows',
    `rerun: idempotent, outputs: { n: int }, with: { want: "\${{ params.size }}", pass: "\${{ params.key }}" }, until: 'outputs.n == params.want && roles.all.nodes.size() > 1 && params.pass == "x" && steps.first.outputs.n > 1'`,
    'roles.all.: until cannot read "roles": until is evaluated on the node; give it other values in "with" and read them as params (expected one of outputs, params, node, exitCode, iteration)',
    'params.pas: params.pass is secret and cannot stand in until: what that decides can be seen',
    'steps.firs: until cannot read "steps": until is evaluated on the node; give it other values in "with" and read them as params (expected one of outputs, params, node, exitCode, iteration)',
  ],
  [
    'until knows name and labels of its node, not its facts',
    'rerun: idempotent, outputs: { n: int }, until: outputs.n == node.facts.cpu.threads && node.name != "x"',
    'facts.cpu.: the node has no "facts" (expected one of name, labels)',
  ],
  [
    'until is typed by with',
    'rerun: idempotent, outputs: { n: int }, with: { want: "three" }, until: outputs.n == params.want',
    'outputs.n : "==" does not work on int and string',
  ],
  [
    'ports',
    'provides: { service: s, port: "eighty" }',
    '"eighty" }: port cannot be this (expected a number, or one expression that gives an int)',
  ],
  [
    'variables that would be the same',
    'with: { Size: 1, a: 1, A: 2 }',
    'Size: 1, a: size and Size would both be $PARAM_SIZE',
    'A: 2 } }: a and A would both be $PARAM_A',
  ],
  [
    'templates that do not end',
    'with: { a: "${{ params.size" }',
    '${{ params: this "${{" has no "}}" (expected $${{ for the characters themselves)',
  ],
];

for (const [what, step, ...expected] of cases) {
  t.test(what, (t) => {
    t.strictSame(errors(step), expected);
    t.end();
  });
}

t.test('a finding is where it is written, however YAML folds it', (t) => {
  const text = `${head}  - id: last
    on: all
    run: x
    if: >-
      params.size > 1 &&
      params.nope > 1
    with:
      a: |
        first line
        \${{ params.size +
            params.gone }} and \${{ params.lost }}
      b: "tab\\t\\u00e9 \${{ params.bad }}"
      c: 'it''s \${{ params.worse }}'
      d: plain \${{
        params.worst }} text
`;
  t.strictSame(
    findings(text).map((line) => line.replace(/ \(.*/, '')),
    [
      '15:14: error: params have no "nope"',
      '20:20: error: params have no "gone"',
      '20:43: error: params have no "lost"',
      '21:34: error: params have no "bad"',
      '22:28: error: params have no "worse"',
      '24:16: error: params have no "worst"',
    ],
  );
  t.end();
});
