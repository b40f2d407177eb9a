/** What is rehearsed goes by the rules that hold in earnest, and chance is the same for the same seed. */
import t from 'tap';
import { Chances } from '../../../coordinator/rehearsal/chances.ts';
import { multiply, readHosts } from '../../../coordinator/rehearsal/hosts.ts';
import { Past, type PastJob } from '../../../coordinator/rehearsal/past.ts';
import type { Faults, Play } from '../../../coordinator/rehearsal/stage.ts';
import { rehearse, type Story } from '../../../coordinator/rehearsal/story.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';

const hypervisors = readHosts(
  'nodes.yaml',
  `nodes:
  - { name: hv, count: 12, labels: { use: hv, rack: [r1, r2, r3] } }
  - { name: ctl, count: 2, labels: { use: ctl } }
`,
);

type More = Partial<Omit<Play, 'faults' | 'chances' | 'past'>> & {
  readonly seed?: number;
  readonly faults?: Partial<Faults>;
  readonly jobs?: readonly PastJob[];
  readonly durations?: Readonly<Record<string, number>>;
  readonly outputs?: Readonly<Record<string, Record<string, unknown>>>;
};

function play(steps: string, more: More = {}): Story {
  const { seed = 1, faults = {}, jobs = [], durations = {}, outputs = {}, ...rest } = more;
  const text = `kind: pipeline
name: upgrade
roles: { hv: { select: labels.use == "hv" }, ctl: { select: labels.use == "ctl" } }
${steps}
`;
  const parsed = parsePipeline({ file: 'upgrade.yaml', text });
  if (!parsed.ok) throw new Error(parsed.diagnostics.map(({ message }) => message).join('; '));
  const chances = new Chances(seed);
  return rehearse({
    pipeline: parsed.pipeline,
    cluster: 'default',
    params: {},
    standing: [],
    limit: null,
    hosts: hypervisors,
    beginsAt: Date.UTC(2026, 0, 1),
    ...rest,
    faults: { fail: 0, unreachable: 0, lose: 0, awayMs: 600_000, ...faults },
    chances,
    past: new Past(jobs, new Map(Object.entries(durations)), new Map(Object.entries(outputs)), chances),
  });
}

const rolling = (strategy: string): string => `steps:
  - id: roll
    on: hv
    strategy: { rolling: { ${strategy} } }
    group:
      - { id: drain, runOn: ctl, run: "true", rerun: idempotent }
      - { id: kernel, run: "true", reboot: after, rerun: idempotent }
`;

const told = ({ passages }: Story): string[] =>
  passages.map(({ what, nodes }) => (nodes.length === 0 ? what : `${what}: ${nodes.join(' ')}`));

t.test('a rolling group goes rack by rack, and the worst that is down is told with its racks', async (t) => {
  const story = play(rolling('maxUnavailable: 50%, by: { label: rack, domains: 1 }'));
  t.match(story, { state: 'succeeded', nodes: 14, downMax: 4 });
  const [unit] = story.units;
  t.match(unit, { unit: 'roll', strategy: 'rolling', nodes: 12, worst: { count: 4, domains: { r1: 4 } } });
  t.same(
    story.steps.map(({ step, states }) => [step, states]),
    [
      ['drain', { succeeded: 12 }],
      ['kernel', { succeeded: 12 }],
    ],
  );
  // Three racks, one after the other, each with a drain, a kernel and a reboot of two minutes.
  t.ok(story.wallMs > 3 * (2 * 8_000 + 120_000), `${story.wallMs}`);
  t.notOk(
    told(story).some((line) => line.startsWith('cannot be reached')),
    'a host that reboots by plan is not lost',
  );
});

t.test('waves are those of the strategy, and the plan is that of the coordinator', async (t) => {
  const { units, downMax } = play(rolling('maxUnavailable: 3, waves: [1, 50%, 100%]'));
  t.same(
    units[0]?.waves.map((wave) => wave.length),
    [1, 5, 6],
  );
  t.equal(downMax, 3);
});

t.test('the same seed tells the same story; another one another', async (t) => {
  const faults = { fail: 0.2, unreachable: 0.1, lose: 0.1 };
  const strategy = rolling('maxUnavailable: 50%, maxFailed: 12, maxUnreachable: 4, maxUnknown: 4');
  const once = play(strategy, { seed: 3, faults });
  t.same(play(strategy, { seed: 3, faults }), once);
  t.notSame(play(strategy, { seed: 4, faults }), once);
});

t.test('who fails stays the same when the strategy changes', async (t) => {
  const failing = (story: Story): string[] =>
    story.passages
      .filter(({ what }) => what === 'drain fails')
      .flatMap(({ nodes }) => nodes)
      .sort();
  const faults = { fail: 0.3 };
  const some = failing(play(rolling('maxUnavailable: 12, maxFailed: 12'), { seed: 5, faults }));
  t.ok(some.length > 0);
  t.same(failing(play(rolling('maxUnavailable: 6, maxFailed: 12'), { seed: 5, faults })), some);
});

t.test(
  'one failure too many holds a rolling run, and the story says what an operator would read',
  async (t) => {
    const story = play(rolling('maxUnavailable: 1'), { faults: { fail: 1 } });
    t.equal(story.state, 'held');
    t.match(
      story.reason,
      /drain failed on hv1; none may fail in roll; resume it with lockstep resume r1 --retry-failed/,
    );
    t.same(story.steps[0]?.states, { ready: 11, failed: 1 });
    t.match(story.open, [/^r1\/drain\/hv1 failed/]);
  },
);

t.test('a parallel step over its budget fails the run, and the last steps are run', async (t) => {
  const story = play(
    `steps: [{ id: look, on: hv, run: "true" }]
finally: [{ id: tell, on: ctl.leader, run: "true", rerun: idempotent }]`,
    { faults: { fail: 1 } },
  );
  t.equal(story.state, 'failed');
  t.ok(told(story).includes('the outcome is failed; the last steps begin'));
  t.match(story.reason, /look failed on/);
});

t.test('what is done after a failure comes before the run fails, and may fail itself', async (t) => {
  const story = play(
    `steps:
  - id: look
    on: hv
    run: "true"
    rescue: [{ id: page, run: "true", rerun: idempotent }]
    always: [{ id: tidy, run: "true", rerun: idempotent }]`,
    { faults: { fail: 1 } },
  );
  t.equal(story.state, 'failed');
  t.match(story.reason, /look failed on/, 'and nothing else is the reason');
  t.same(
    story.steps.map(({ states }) => states),
    [{ failed: 12 }, { failed: 12 }, { failed: 12 }],
  );
  const [, ...after] = play(
    'steps: [{ id: look, on: hv, run: "true", rescue: [{ id: page, run: "true" }], always: [{ id: tidy, run: "true" }] }]',
  ).steps;
  t.same(
    after.map(({ states }) => states),
    [{ skipped: 12 }, { succeeded: 12 }],
  );
});

t.test('nodes that are away pause the run, are skipped, or are deferred, as the step says', async (t) => {
  const faults = { unreachable: 0.25 };
  const paused = play('steps: [{ id: look, on: hv, run: "true" }]', { faults });
  t.equal(paused.state, 'paused');
  t.match(paused.reason, /cannot be reached \(maxUnreachable 0\)/);
  const skipped = play('steps: [{ id: look, on: hv, run: "true", offline: skip }]', { faults });
  t.equal(skipped.state, 'succeeded');
  const deferred = play('steps: [{ id: look, on: hv, run: "true", rerun: idempotent, offline: defer }]', {
    faults,
  });
  t.equal(deferred.state, 'succeeded-with-deferred');
  const away = skipped.steps[0]?.states.skipped ?? 0;
  t.ok(away > 0);
  t.equal(deferred.steps[0]?.states.deferred, away);
});

t.test('a lost link pauses the run until it is back, and the job is done once', async (t) => {
  const story = play('steps: [{ id: look, on: hv, run: "true" }]', { faults: { lose: 1 } });
  t.equal(story.state, 'succeeded');
  t.match(told(story), [/^the run begins/, /^look begins/]);
  t.ok(told(story).some((line) => /^run r1 is paused: .* may be running it/.test(line)));
  t.ok(told(story).includes('the run goes on'));
  t.same(story.steps[0]?.states, { succeeded: 12 });
});

t.test('durations are those of earlier runs, or what is said', async (t) => {
  const steps = 'steps: [{ id: look, on: hv, run: "true" }, { id: go, on: hv, run: "true" }]';
  const jobs = [100, 200, 300].map((durationMs) => ({ step: 'look', durationMs, outputs: {} }));
  const story = play(steps, { jobs, durations: { go: 3_600_000 } });
  const [look, go] = story.steps;
  t.ok([100, 200, 300].includes(look?.longestMs ?? 0), `${look?.longestMs}`);
  t.ok((go?.longestMs ?? 0) > 3_600_000 * 0.8 && (go?.longestMs ?? 0) < 3_600_000 * 1.2, `${go?.longestMs}`);
  t.same([look?.assumed, go?.assumed], [false, false]);
  t.equal(play(steps).steps[0]?.assumed, true);
});

t.test(
  'what a step puts out is what it put out before, or what is said, and decides what follows',
  async (t) => {
    const steps = `steps:
  - { id: choose, on: ctl.leader, run: "true", outputs: { go: bool } }
  - { id: act, on: hv, run: "true", if: steps.choose.outputs.go }`;
    t.same(play(steps).steps[1]?.states, { succeeded: 12 });
    const before = [{ step: 'choose', durationMs: 5, outputs: { go: false } }];
    t.same(play(steps, { jobs: before }).steps[1]?.states, { skipped: 12 });
    t.same(play(steps, { jobs: before, outputs: { choose: { go: true } } }).steps[1]?.states, {
      succeeded: 12,
    });
  },
);

t.test('an approval is given at once and told', async (t) => {
  const story = play('steps: [{ id: look, on: hv, run: "true", approve: Look? }]');
  t.equal(story.state, 'succeeded');
  t.ok(told(story).includes('look asks for approval (given at once here): Look?'));
});

t.test('a run that would be refused is refused', async (t) => {
  t.throws(() => play('steps: [{ id: look, on: hv, run: "true" }]', { hosts: hypervisors.slice(12) }), {
    message: /role hv/,
  });
});

t.test(
  'nodes that may not work count as they do in earnest, and what is said of others is left aside',
  async (t) => {
    const administer = (node: string) =>
      ({ type: 'AdministerNode', node, administration: 'cordoned', by: 'operator:ann', reason: '' }) as const;
    const kept = { type: 'SetParam', name: 'x', value: 1, secret: false, by: 'operator:ann' } as const;
    const standing = [administer('hv1'), administer('hv99'), { ...kept, scope: { node: 'hv99' } }];
    const story = play(rolling('maxUnavailable: 1'), { standing });
    t.equal(story.state, 'held');
    t.match(story.reason, /one node may be unavailable, and hv1 is cordoned/);
    t.equal(play(rolling('maxUnavailable: 1'), { standing: standing.slice(1) }).state, 'succeeded');
  },
);

t.test('profiles give params in a rehearsal as they do in earnest', async (t) => {
  const asking = 'params: { word: { type: string } }\nsteps: [{ id: look, on: hv, run: "true" }]';
  t.throws(() => play(asking), { message: /param word \(string\) has no value/ });
  const profile = {
    type: 'ApplyProfile',
    profile: 'all',
    priority: 0,
    by: 'operator:ann',
    secrets: {},
  } as const;
  const standing = [{ ...profile, where: { labels: {}, roles: null }, params: { word: 'x' } }];
  t.equal(play(asking, { standing }).state, 'succeeded');
});

t.test('nodes are made after those that there are', async (t) => {
  const three = multiply(hypervisors.slice(0, 3), 8);
  t.same(
    three.map(({ name, labels }) => `${name} ${labels.rack}`),
    ['hv1 r1', 'hv2 r2', 'hv3 r3', 'hv4 r1', 'hv5 r2', 'hv6 r3', 'hv7 r1', 'hv8 r2'],
  );
  t.equal(three[7]?.facts.hostname, 'hv8');
  t.equal(multiply(hypervisors, 2).length, 2);
  t.same(multiply([], 5), []);
});

t.test('a file of nodes that is not one says so', async (t) => {
  const faults: readonly (readonly [string, RegExp])[] = [
    ['nodes: 3', /does not describe nodes: nodes: /],
    ['nodes: [{ name: A, count: 2 }]', /"A1" cannot be the name of a node/],
    ['nodes: [{ name: a }, { name: a }]', /two nodes would be named a/],
    ['nodes: [{ name: a, count: 5001 }]', /does not describe nodes: nodes\.0\.count/],
    ['nodes: [{ name: a, count: 4000 }, { name: b, count: 4000 }]', /8000 nodes are too many/],
    ['nodes: [', /cannot be read/],
  ];
  for (const [text, message] of faults) {
    try {
      readHosts('nodes.yaml', text);
      t.fail(`accepted: ${text}`);
    } catch (error) {
      t.ok(error instanceof LockstepError, text);
      t.match(error instanceof Error ? error.message : '', message, text);
    }
  }
});
