/** What an operator reads for each thing that can be wrong with the form, the names and the order of a pipeline. */
import t from 'tap';
import { findings, head } from './reading.ts';

type Case = readonly [what: string, text: string, ...expected: string[]];

/** Each text follows the three lines of `head`. */
const cases: readonly Case[] = [
  [
    'a typing error in a key',
    'steps:\n  - { id: a, on: all, run: x, tiemout: 5m }',
    '5:31: error: step a has no "tiemout" (did you mean "timeout"?)',
  ],
  [
    'a key that nothing is like',
    'steps:\n  - { id: a, on: all, run: x, provides: { service: s, weight: 3 } }',
    '5:55: error: "provides" has no "weight" (expected one of service, port, address)',
  ],
  [
    'a word of a later version',
    'steps:\n  - { id: a, on: all, run: x, certificate: {} }',
    '5:31: error: this version does not have "certificate" yet',
  ],
  [
    'how runs stand to each other',
    'concurrency: { grup: nightly, policy: replase }\nsteps:\n  - { id: a, on: all, run: x }',
    '4:14: error: "concurrency" lacks "group" (expected text)',
    '4:16: error: "concurrency" has no "grup" (did you mean "group"?)',
    '4:39: error: "policy" cannot be "replase" (expected one of queue, reject, replace; did you mean "replace"?)',
  ],
  [
    'windows that never open',
    'window: { cron: "0 22 * *", duration: 6h }\nsteps:\n  - { id: a, on: all, run: x, window: { cron: "0 22 * * *", duration: 30s } }\n  - { id: b, on: all, run: x, window: { cron: "0 22 * * *", duration: 6h, timezone: Europe/Praque } }\n  - { id: c, on: all, run: x, windwo: {} }\n  - { id: d, on: all, group: [{ id: e, run: x, window: {} }] }',
    '4:17: error: "0 22 * *" is not a time: write five fields, minute hour day month weekday, like "0 2 * * 1-5"',
    '6:71: error: no window is open for 30s (expected 1m to 31d)',
    '7:85: error: no time zone is called "Europe/Praque" (expected a name such as Europe/Prague, or UTC; did you mean "Europe/Prague"?)',
    '8:31: error: step c has no "windwo" (did you mean "window"?)',
    '9:48: error: "window" does not stand here: a node that has begun the group goes through all of it: say it on the group',
  ],
  [
    'what is replaced per node',
    'concurrency: { group: nightly, policy: queue, per: node }\nsteps:\n  - { id: a, on: all, run: x }',
    '4:47: error: per: node says what is replaced (expected policy: replace)',
  ],
  [
    'words about absent nodes',
    'steps:\n  - { id: a, on: all, run: x, reboot: before, offline: away, onUnknown: sotp, rebootTimeout: 0s }',
    '5:39: error: "reboot" cannot be "before" (expected "after")',
    '5:56: error: "offline" cannot be "away" (expected one of wait, skip, defer)',
    '5:73: error: "onUnknown" cannot be "sotp" (expected one of wait, hold, stop; did you mean "stop"?)',
    '5:94: error: with a timeout of 0 nothing could ever finish (expected a longer time)',
  ],
  [
    'a deferral that nothing bounds, and one that nobody asked for',
    'steps:\n  - { id: a, on: all, run: x, offline: defer, deferUntil: 91d }\n  - { id: b, on: all, run: x, deferUntil: 1d, outputs: { reboot: string } }',
    '5:59: error: 91d is longer than any job may be deferred (expected at most 90d)',
    '6:31: error: deferUntil belongs to offline: defer (expected offline: defer)',
    '6:58: error: "reboot" is reserved and cannot be the name of an output',
  ],
  [
    'steps that are run at the end',
    'steps:\n  - { id: a, on: all, run: x }\nfinally:\n  - { id: b, on: all, run: x, strategy: parallel, approve: sure, offline: defer, reboot: after, onUnknown: hold, tineout: 1s }\n  - { id: c, on: all, group: [] }',
    '7:31: error: "strategy" does not stand here: at the end each node that can be reached does it at once, and no failure stops the others',
    '7:51: error: "approve" does not stand here: the end of a run waits for nobody',
    '7:75: error: the end of a run waits for no node to come back (expected skip or wait)',
    '7:82: error: "reboot" does not stand here: the end of a run waits for no node to come back',
    '7:97: error: "onUnknown" does not stand here: no unknown job stops the end of a run',
    '7:114: error: step b has no "tineout" (did you mean "timeout"?)',
    '8:23: error: "group" does not stand here: write its steps one by one',
  ],
  [
    'steps that are run at the end, and what they do not wait for',
    'steps:\n  - { id: a, on: all, run: x, needs: b, if: outcome == "failed" }\nfinally:\n  - { id: b, on: all, run: x, needs: a }',
    '5:38: error: there is no step "b" before finally (expected "a")',
    '5:45: error: if cannot read "outcome": outputs of a step are under steps, what until knows is known on the node only, and how something ended in rescue, always and finally only (expected one of params, node, target, targets, cluster, roles, steps, services)',
    '7:38: error: there is no step "a" in finally (expected "b")',
  ],
  [
    'steps that are done after a step or group has ended',
    'steps:\n  - id: a\n    on: all\n    run: x\n    offline: defer\n    rescue: [{ id: b, run: x, needs: a, on: all, offline: wait, reboot: after, always: [], tineout: 1s }]\n  - id: g\n    on: all\n    group: [{ id: c, run: x, rescue: [] }]\n    always: 3\n  - { id: d, on: all, run: x, needs: b }\nrescue: []\nfinally:\n  - { id: e, on: all, run: x, always: [] }',
    '8:14: error: step a cannot be deferred: what stands in rescue or always is done after it (expected wait or skip)',
    '9:31: error: "needs" does not stand here: its steps are done one after the other on each node',
    '9:41: error: "on" does not stand here: it is done on the nodes of its step or group',
    '9:50: error: "offline" does not stand here: nodes that cannot be reached are left out',
    '9:65: error: "reboot" does not stand here: no node is rebooted when its step or group has ended',
    '9:80: error: "always" does not stand here: no failure in it stops the rest of it: write the step after it',
    '9:92: error: step b has no "tineout" (did you mean "timeout"?)',
    '12:30: error: "rescue" does not stand here: the group as a whole is rescued: say it on the group',
    '13:13: error: "always" cannot be 3 (expected a list)',
    '14:38: error: there is no step "b" before finally (expected one of a, c, g, d)',
    '15:1: error: "rescue" does not stand here: say it on a step or group',
    '17:31: error: "always" does not stand here: no failure stops the end of a run: write the step after it',
  ],
  [
    'what is known of a failure, and where',
    "steps:\n  - id: a\n    on: all\n    run: x\n    if: failed()\n    rescue: [{ id: b, run: x, if: failure.exit == 3 && failure.nod == 'n1' }]\n    always: [{ id: c, run: x, if: cancelled(1) || failure.step == 'a' }]\n  - { id: d, on: all, run: x, if: has(failure.node) }",
    '8:9: error: if cannot ask failed(): outputs of a step are under steps, what until knows is known on the node only, and how something ended in rescue, always and finally only',
    '9:43: error: failure.exit may be missing: what was ended by a signal or never ran has none (expected has(failure.exit) ? failure.exit : …)',
    '9:64: error: failure has no "nod" (expected one of node, step, reason, exit, logTail; did you mean "node"?)',
    '10:35: error: no function fits cancelled(int)',
    '11:39: error: if cannot read "failure": outputs of a step are under steps, what until knows is known on the node only, and how something ended in rescue, always and finally only (expected one of params, node, target, targets, cluster, roles, steps, services)',
  ],
  [
    'what another node cannot carry out',
    'steps:\n  - { id: a, on: all, run: x, runOn: nobody }\n  - { id: b, on: all, run: x, runOn: all.leader, offline: defer, reboot: after }',
    '5:38: error: there is no role "nobody" (expected one of all, two)',
    '6:59: error: what another node carries out cannot be deferred (expected wait or skip)',
    '6:66: error: the node that would reboot is the one that runs it for others (expected reboot on a step without runOn)',
  ],
  [
    'a word that stands in the wrong place',
    'timeout: 5m\nsteps:\n  - id: g\n    on: all\n    run: x\n    group:\n      - { id: a, on: all, run: x }',
    '4:1: error: "timeout" does not stand here: say it on a step',
    '8:5: error: "run" does not stand here: a group runs its steps: give the script to one of them',
    '10:18: error: "on" does not stand here: the steps of a group run where the group runs: say it on the group',
  ],
  [
    'values of a wrong type',
    'steps:\n  - { id: a, on: all, run: 3, timeout: 30, rerun: idempotnt, leaves: [], retry: none }',
    '5:28: error: "run" cannot be 3 (expected text)',
    '5:40: error: "timeout" cannot be 30 (expected "30s" or another duration)',
    '5:51: error: "rerun" cannot be "idempotnt" (expected one of idempotent, verify-first, never-twice; did you mean "idempotent"?)',
    '5:70: error: "leaves" cannot be an empty list (expected one of nothing, daemon)',
    '5:81: error: "retry" cannot be "none" (expected a number or a map)',
  ],
  [
    'a duration that is none',
    'steps:\n  - { id: a, on: all, run: x, timeout: 5 minutes }',
    '5:40: error: "timeout" cannot be "5 minutes" (expected a duration such as 500ms, 30s, 5m or 1h30m)',
  ],
  [
    'times out of bounds',
    'steps:\n  - { id: a, on: all, run: x, timeout: 0s }\n  - { id: b, on: all, run: x, timeout: 8d }',
    '5:40: error: with a timeout of 0 nothing could ever finish (expected a longer time)',
    '6:40: error: 8d is longer than any job may take (expected at most 7d)',
  ],
  [
    'what is missing',
    'steps:\n  - { on: all, run: x }\n  - { id: b, run: x }\n  - { id: c, on: all }\n  - { id: d, on: all, check: x }',
    '5:5: error: step 1 lacks "id" (expected text)',
    '6:5: error: step b lacks "on" (expected text or a list)',
    '7:5: error: there is nothing to run (expected run, verify or uses)',
    '8:5: error: there is nothing to run (expected run or verify beside the check)',
  ],
  [
    'an empty list of steps',
    'steps: []',
    '4:8: error: "steps" cannot be an empty list (expected something that is not empty)',
  ],
  [
    'ids that are taken or not ids',
    'steps:\n  - { id: a, on: all, run: x }\n  - { id: a, on: all, run: x }\n  - { id: A b, on: all, run: x }\n  - { id: constructor, on: all, run: x }',
    '6:11: error: another step is called "a" (expected an id of its own)',
    '7:11: error: "id" cannot be "A b" (expected small letters, digits and "-", beginning with a letter, at most 63)',
    '8:11: error: "constructor" is reserved and cannot be the id of a step',
  ],
  [
    'roles that do not exist',
    'steps:\n  - { id: a, on: al, run: x }\n  - { id: b, on: [two, all.leder], run: x }\n  - { id: c, on: [all, all], run: x }',
    '5:18: error: there is no role "al" (expected one of all, two; did you mean "all"?)',
    '6:24: error: role all has no "leder" (expected all, all.leader or all.rest; did you mean "leader"?)',
    '7:24: error: "all" stands here twice',
  ],
  [
    'needs that do not exist',
    'steps:\n  - { id: install, on: all, run: x }\n  - { id: b, on: all, run: x, needs: [instal, { step: c }] }',
    '6:39: error: there is no step "instal" (expected one of install, b; did you mean "install"?)',
    '6:55: error: there is no step "c" (expected one of install, b)',
  ],
  [
    'circles',
    'steps:\n  - { id: a, on: all, run: x, needs: c }\n  - { id: b, on: all, run: x }\n  - { id: c, on: all, run: x }\n  - { id: d, on: all, run: x, needs: d }',
    '6:5: error: steps need each other in a circle: a → c → b → a',
    '8:38: error: d cannot need itself',
  ],
  [
    'the same node as a step that runs on one',
    'steps:\n  - { id: a, on: all.leader, run: x }\n  - { id: b, on: all, run: x, needs: { step: a, same: node } }\n  - { id: c, on: two, run: x, needs: { step: b, same: node } }',
    '6:38: error: same: node has no meaning here: a runs on one node only (expected "a" alone, which waits for that node)',
    '7:38: warning: b and c have no role in common: with same: node this waits for nothing',
  ],
  [
    'waits inside a rolling group that never end',
    'steps:\n  - id: g\n    on: all\n    strategy: rolling\n    group:\n      - { id: a, run: x }\n      - { id: b, run: x, needs: a }\n      - { id: c, run: x, needs: out }\n  - { id: out, on: two, run: x, needs: a }',
    '10:33: error: this never opens: it waits for all nodes in a, but nodes go through g a few at a time (expected { step: a, same: node }, or two groups)',
    '11:33: error: this never opens: g → out → g wait for each other, as nodes go through a group a few at a time (expected needs that lead out of the group, or two groups)',
  ],
  [
    'two rolling groups that wait for each other',
    'steps:\n  - { id: g, on: all, strategy: rolling, group: [{ id: a, run: x }, { id: b, run: x, needs: c }] }\n  - { id: h, on: all, needs: [], strategy: rolling, group: [{ id: c, run: x }, { id: d, run: x, needs: { step: a, same: node } }] }',
    '5:93: error: this never opens: g → h → g wait for each other, as nodes go through a group a few at a time (expected needs that lead out of the group, or two groups)',
  ],
  [
    'a way out of a rolling group and back, on each node by itself',
    'steps:\n  - { id: g, on: all, strategy: rolling, group: [{ id: a, run: x }, { id: b, run: x, needs: { step: out, same: node } }] }\n  - { id: out, on: all, run: x, needs: { step: a, same: node } }\n  - { id: z, on: two, run: x, needs: g }',
  ],
  [
    'a wrong need, after which order is not known and nothing is said of it',
    'steps:\n  - { id: a, on: all.leader, run: x, outputs: { n: int } }\n  - { id: b, on: all, run: x, needs: aa }\n  - { id: c, on: all, run: "echo $PARAM_N", with: { n: "${{ steps.a.outputs.n }}" } }',
    '6:38: error: there is no step "aa" (expected one of a, b, c)',
  ],
  [
    'running again what nothing says bears it',
    'steps:\n  - { id: a, on: all, run: x, retry: 3 }\n  - { id: b, on: all, run: x, until: exitCode == 0, rerun: never-twice }\n  - { id: c, on: all, run: x, rerun: verify-first }\n  - { id: d, on: all, run: x, every: 1s }',
    '5:38: error: retry runs the script again, which nothing says that it bears (expected rerun: idempotent, or a check)',
    '6:38: error: until runs the script again, which rerun: never-twice forbids (expected rerun: idempotent, or a check)',
    '7:38: error: rerun: verify-first runs the check first, and there is none (expected a check, or rerun: idempotent)',
    '8:31: error: every belongs to until, and there is none (expected until)',
  ],
  [
    'strategies',
    'steps:\n  - { id: a, on: all, run: x, strategy: { rolling: { maxUnavailable: 0, waves: [10%, 5%, 3] } } }\n  - { id: b, on: all, run: x, strategy: { parallel: { maxParallel: 101% } } }\n  - { id: c, on: all, run: x, strategy: { parallel: {}, rolling: {} } }\n  - { id: d, on: all, run: x, strategy: serial }',
    '5:70: error: with 0 nothing could ever begin (expected at least 1, or a percentage)',
    '5:86: error: waves are cumulative: this one is not larger than 10% (expected a larger wave)',
    '5:90: error: a number after a percentage may be a smaller wave (expected numbers first, then percentages)',
    '6:68: error: "maxParallel" cannot be "101%" (expected a number, or a percentage from 1% to 100%)',
    '7:41: error: a strategy is one of two (expected exactly one of parallel, rolling)',
    '8:41: error: "strategy" cannot be "serial" (expected one of parallel, rolling)',
  ],
  [
    'files that are not there',
    'steps:\n  - { id: a, on: all, run: x, files: [../secret, /etc/passwd, gone] }',
    '5:39: error: "../secret" is not beside this file (expected a path inside the folder of this file)',
    '5:50: error: "/etc/passwd" is not beside this file (expected a path inside the folder of this file)',
    '5:63: error: there is no file or folder "gone" beside this file',
  ],
  [
    'what uses excludes',
    'steps:\n  - { id: a, on: all, uses: m/t@1.0.0, run: x }',
    '5:29: error: there is no module "m" (expected modules/m/module.yaml beside the pipeline, or --modules)',
    '5:40: error: "run" does not stand beside uses: the task has its own',
  ],
];

for (const [what, text, ...expected] of cases) {
  t.test(what, (t) => {
    t.strictSame(findings(`${head}${text}\n`), expected);
    t.end();
  });
}

const whole: readonly Case[] = [
  ['an empty file', '', '1:1: error: the file is empty (expected a map that begins with "kind:")'],
  ['not a map', 'hello', '1:1: error: the file cannot be "hello" (expected a map)'],
  [
    'another kind',
    'kind: pipelin\nname: p\nroles: { a: {} }\nsteps: [{ id: s, on: a, run: x }]',
    '1:7: error: "kind" cannot be "pipelin" (did you mean "pipeline"?)',
  ],
  [
    'roles',
    'kind: pipeline\nname: p\nroles:\n  a: { select: labels.x == 1, except: [b, a, c], waitFor: soon }\n  b: { except: a, count: 0, spread: "labels.rack + 1" }\n  d: { spread: labels.rack, prefer: labels }\n  e f: {}\nsteps: [{ id: s, on: [a, b, d], run: x }]',
    '4:3: error: roles except each other in a circle: a → b → a',
    '4:16: error: "==" does not work on string and int',
    '4:43: error: role a cannot except its own nodes',
    '4:46: error: there is no role "c" (expected one of a, b, d, e f)',
    '4:59: error: "waitFor" cannot be "soon" (expected a duration such as 500ms, 30s, 5m or 1h30m)',
    '5:26: error: "count" cannot be 0 (expected at least 1)',
    '5:37: error: spread names a label (expected labels.KEY, such as labels.rack)',
    '6:8: error: spread needs a count: without one all nodes are taken (expected count)',
    '6:37: error: nodes cannot be ordered by this (expected text, a number or a bool)',
    '7:3: error: "e f" cannot be a name (expected letters, digits and "_", not beginning with a digit, at most 63)',
  ],
  [
    'params',
    'kind: pipeline\nname: p\nparams:\n  a: { type: int, default: "3", pattern: "x*" }\n  b: { type: string, values: [x, 1], default: y, minimum: 2 }\n  c: { secret: true, default: hunter2 }\n  d: { generate: { hex: 8, uuid: true } }\n  D: { type: int, minimum: 5, maximum: 2 }\n  e: { pattern: "[a-", generate: { hex: 8 }, default: q }\n  constructor: {}\nroles: { r: {} }\nsteps: [{ id: s, on: r, run: x }]',
    '4:28: error: the value is not of the declared type (expected a whole number)',
    '4:42: error: a pattern is for text, but a is of type int',
    '5:34: error: the value is not of the declared type (expected text (in quotes where YAML would see a number or a bool))',
    '5:47: error: the value is not among those allowed (expected one of "x", 1)',
    '5:59: error: minimum is for numbers, but b is of type string',
    '7:18: error: generate says one way to make a value (expected exactly one of hex, password, uuid)',
    '8:3: error: params d and D would both be $PARAM_D',
    '8:40: error: no number is at least 5 and at most 2',
    '9:17: error: a "[" in a glob needs a "]" (or write "\\[")',
    '9:24: error: with a default, a value for e is never generated (expected default or generate)',
    '9:55: error: the value does not fit the pattern (expected text like [a-)',
    '10:3: error: "constructor" is reserved and cannot be the name of a param',
    '6:22: warning: the secret c stands in this file in clear (expected generate, or a value that is set for the cluster)',
  ],
  [
    'things that are no maps',
    'kind: pipeline\nname: p\nparams: 3\nroles: [a]\nsteps: [foo, 7, { group: x }]',
    '3:9: error: "params" cannot be 3 (expected a map)',
    '4:8: error: "roles" cannot be a list (expected a map)',
    '5:9: error: step 1 cannot be "foo" (expected a map)',
    '5:14: error: step 2 cannot be 7 (expected a map)',
    '5:17: error: step 3 lacks "id" (expected text)',
    '5:17: error: step 3 lacks "on" (expected text or a list)',
    '5:26: error: "group" cannot be "x" (expected a list)',
  ],
  [
    'scripts that want to be templates',
    'kind: pipeline\nname: p\nroles: { a: {} }\nsteps:\n  - id: s\n    on: a\n    run: |\n      echo one\n      echo ${{ params.x }}\n    verify: { run: "test ${{ x }}" }',
    '9:12: warning: scripts are not filled in: this reaches the interpreter as it stands (expected the value in "with", read as $PARAM_NAME)',
    '10:26: warning: scripts are not filled in: this reaches the interpreter as it stands (expected the value in "with", read as $PARAM_NAME)',
  ],
  [
    'what nothing uses',
    'kind: pipeline\nname: p\nparams:\n  used: {}\n  read: {}\n  idle: {}\n  hidden: { secret: true }\nroles:\n  r: {}\n  spare: {}\nsteps:\n  - { id: s, on: r, run: "echo $PARAM_READ", with: { v: "${{ params.used }}" } }',
    '6:3: warning: nothing uses the param idle',
    '7:3: warning: nothing uses the param hidden',
    '10:3: warning: nothing runs on the role spare',
  ],
];

for (const [what, text, ...expected] of whole) {
  t.test(what, (t) => {
    t.strictSame(findings(text), expected);
    t.end();
  });
}
