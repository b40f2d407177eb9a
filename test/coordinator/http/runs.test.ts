/** From a submission to its end over the API, with agents that do what the test says; and what stays of old runs. */
import { createHash } from 'node:crypto';
import t from 'tap';
import * as resources from '../../../coordinator/http/resources.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { resultOf, SmallAgent } from '../small-agent.ts';

const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const pipelineOf = (steps: string, more = ''): { file: string; text: string } => ({
  file: 'test.yaml',
  text: `kind: pipeline\nname: test\n${more}roles: { all: { select: 'true' } }\nsteps:\n${steps}`,
});

/** Does every job that it is granted, with these outputs, until it is ended. */
async function work(agent: SmallAgent, outputs: Record<string, unknown> = {}): Promise<string[]> {
  const done: string[] = [];
  let number = 0;
  agent.say({ type: 'pull', credit: 1 });
  for (;;) {
    const job = await agent.grant().catch(() => undefined);
    if (job === undefined) return done;
    number += 1;
    done.push(job.attempt);
    const own = Object.fromEntries(Object.entries(outputs).filter(([name]) => name in job.outputs));
    agent.say(
      { type: 'accepted', attempt: job.attempt },
      { type: 'started', attempt: job.attempt, at: 1 },
      { type: 'result', number, result: resultOf(job.attempt, { outputs: JSON.parse(JSON.stringify(own)) }) },
      { type: 'pull', credit: 1 },
    );
  }
}

async function ended(
  coordinator: TestCoordinator,
  id: string,
): Promise<ReturnType<typeof resources.run.parse>> {
  for (let wait = 0; wait < 200; wait += 1) {
    const run = await coordinator.get(resources.run, `/api/runs/${id}`);
    if (run.finishedAt !== null) return run;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`run ${id} has not ended`);
}

t.test('a run from its submission to its end', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const agents = await Promise.all(
    ['n1', 'n2', 'n3'].map((name) => SmallAgent.join(coordinator.url, token, name)),
  );
  const working = agents.map((agent) => work(agent, { count: 3, password: 'correct-horse' }));

  const script = '#!/bin/sh\necho hello\n';
  const bundle = {
    files: [{ path: 'hello.sh', digest: digestOf(script), sizeBytes: script.length, executable: true }],
  };
  const submission = {
    ...pipelineOf(
      `  - { id: first, on: all, run: ./hello.sh }
  - id: second
    on: all.leader
    outputs: { count: { type: int }, password: { type: string, secret: true } }
    run: echo count=3 >> "$LOCKSTEP_OUTPUT"
`,
      'params: { size: { type: int }, key: { type: string, secret: true, generate: { hex: 16 } } }\n',
    ),
    bundle,
    params: { size: '5' },
  };
  t.match(await coordinator.refused('POST', '/api/runs', submission), {
    code: 'conflict',
    detail: /sent first.*hello.sh/,
  });
  t.equal((await coordinator.ask('PUT', `/blobs/${digestOf(script)}`, Buffer.from(script))).status, 204);

  const plan = await coordinator.post(resources.plan, '/api/plans', submission);
  t.match(plan, {
    pipeline: 'test',
    roles: [{ name: 'all', nodes: ['n1', 'n2', 'n3'], leader: 'n1' }],
    faults: [],
  });
  const wrong = { ...submission, params: { sise: '5' } };
  t.same(
    (await coordinator.post(resources.plan, '/api/plans', wrong)).faults,
    [
      'pipeline test has no param sise (it has size, key)',
      'param size (int) has no value: give it with --param size=…',
    ],
    'and says what a run would be refused for',
  );
  t.same((await coordinator.get(resources.runPage, '/api/runs')).items, [], 'a plan runs nothing');

  const created = await coordinator.ask('POST', '/api/runs', submission);
  t.equal(created.status, 201);
  t.match(JSON.parse(created.text), {
    id: 'r1',
    pipeline: 'test',
    warnings: [],
    params: { size: 5, key: '(secret)' },
  });
  const run = await ended(coordinator, 'r1');
  t.match(run, { state: 'succeeded', counts: { succeeded: 4 }, roles: { all: { leader: 'n1' } } });
  t.match(
    run.jobs?.map(({ step, node, state, attempt, exitCode }) => [step, node, state, attempt, exitCode]),
    [
      ['first', 'n1', 'succeeded', 1, 0],
      ['first', 'n2', 'succeeded', 1, 0],
      ['first', 'n3', 'succeeded', 1, 0],
      ['second', 'n1', 'succeeded', 1, 0],
    ],
  );
  t.same(run.jobs?.at(-1)?.outputs, { count: 3, password: '(secret)' });
  t.notOk('jobs' in (await coordinator.get(resources.run, '/api/runs/r1?jobs=false')));
  const journal = (await coordinator.ask('GET', '/api/events')).text;
  t.notMatch(journal, 'correct-horse', 'a secret output is in no event');
  for (const agent of agents) agent.end();
  t.same((await Promise.all(working)).flat().toSorted(), [
    'r1/first/n1#1',
    'r1/first/n2#1',
    'r1/first/n3#1',
    'r1/second/n1#1',
  ]);
});

t.test('secret inputs reach only the job that names them', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1');
  agent.say({ type: 'pull', credit: 1 });
  await coordinator.ask('POST', '/api/runs', {
    ...pipelineOf(
      `  - { id: with-it, on: all, with: { key: "\${{ params.key }}" }, run: 'true' }
  - { id: without, on: all, run: 'true' }
`,
      'params: { key: { type: string, secret: true } }\n',
    ),
    params: { key: 'very-secret-value' },
  });
  const first = await agent.grant();
  t.same(first.inputs, { key: { value: 'very-secret-value' } });
  t.same(first.secretInputs, ['key']);
  agent.say({ type: 'result', number: 1, result: resultOf(first.attempt) }, { type: 'pull', credit: 1 });
  const second = await agent.grant();
  t.same(second.inputs, {});
  t.notMatch((await coordinator.ask('GET', '/api/events')).text, 'very-secret');
});

t.test('values that are too long to be kept or sent are refused, and the coordinator goes on', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1');
  t.teardown(() => agent.end());
  const secrets = (count: number): { file: string; text: string } => {
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    return pipelineOf(
      `  - { id: a, on: all, run: 'true', with: { ${names.map((name) => `${name}: '\${{ params.${name} }}'`)} } }\n`,
      `params: { ${names.map((name) => `${name}: { type: string, secret: true }`)} }\n`,
    );
  };
  for (const text of ['x'.repeat(3_500_000), '€'.repeat(1_000_000)]) {
    const submission = { ...secrets(1), params: { s0: text } };
    t.match(await coordinator.refused('POST', '/api/runs', submission), {
      code: 'invalid',
      detail: /^param s0 is longer than \d+ bytes$/,
    });
    const setting = { name: 's0', value: text, secret: true };
    t.match(await coordinator.refused('PUT', '/api/params', setting), { code: 'too-large' });
  }
  const half = 'x'.repeat(600_000);
  agent.say({ type: 'pull', credit: 1 });
  t.equal(
    (await coordinator.ask('POST', '/api/runs', { ...secrets(2), params: { s0: half, s1: half } })).status,
    201,
  );
  t.match(await ended(coordinator, 'r1'), {
    state: 'failed',
    jobs: [{ step: 'a', node: 'n1', state: 'failed', reason: /in one message of at most/ }],
  });
  t.equal((await coordinator.ask('POST', '/api/runs', { ...secrets(1), params: { s0: half } })).status, 201);
  t.equal((await agent.grant()).attempt, 'r2/a/n1#1');
});

t.test('every fault of a pipeline at once, with its place', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const refused = await coordinator.refused('POST', '/api/runs', {
    file: 'bad.yaml',
    text: "kind: pipeline\nname: bad\nroles: { all: { select: 'lables.x == 1' } }\nsteps:\n  - { id: a, on: al, run: x, timeot: 5s }\n",
  });
  t.match(refused, { status: 422, code: 'invalid', detail: /bad.yaml has \d faults: nothing was run/ });
  t.same(
    [...new Set(refused.diagnostics?.map(({ file, line }) => `${file}:${line}`))],
    ['bad.yaml:3', 'bad.yaml:5'],
  );
  t.match(
    await coordinator.refused('POST', '/api/plans', {
      ...pipelineOf("  - { id: a, on: all, run: 'true' }\n"),
      limit: 'nme == "x"',
    }),
    { code: 'invalid', detail: /limit/ },
  );
  t.match(
    await coordinator.refused('POST', '/api/runs', {
      ...pipelineOf("  - { id: a, on: all, run: 'true' }\n", 'params: { n: { type: int } }\n'),
      params: { n: 'many' },
    }),
    { code: 'invalid', detail: /param n is not a whole number/ },
  );
  t.match(
    await coordinator.refused('POST', '/api/runs', pipelineOf("  - { id: a, on: all, run: 'true' }\n")),
    { code: 'invalid', detail: /all/ },
    'nor does a run start without nodes',
  );
  const anchors = `x: &a [${'"0123456789",'.repeat(20)}]\n`;
  const bomb = await coordinator.refused('POST', '/api/runs', {
    file: 'bomb.yaml',
    text: `${anchors}y: [${'*a,'.repeat(200)}]\n`,
  });
  t.equal(bomb.code, 'invalid', 'nor does a short text become a long one');
});

t.test('operators decide', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1');
  agent.say({ type: 'pull', credit: 1 });
  const submit = async (steps: string): Promise<string> =>
    (await coordinator.post(resources.run, '/api/runs', pipelineOf(steps))).id;

  const asked = await submit("  - { id: a, on: all, approve: Really?, run: 'true' }\n");
  t.match(await coordinator.get(resources.run, `/api/runs/${asked}`), {
    state: 'waiting-for-approval',
    units: [{ id: 'a', approval: { state: 'requested', text: 'Really?' } }],
  });
  const why = await coordinator.get(resources.explanations, `/api/runs/${asked}/why`);
  t.match(why.items, [{ job: `${asked}/a/n1`, gate: 'approval', sentence: /Really\?/ }]);
  t.match(await coordinator.post(resources.run, `/api/runs/${asked}/approve`, { reason: 'yes' }), {
    state: 'running',
  });
  t.match(await coordinator.refused('POST', `/api/runs/${asked}/approve`, {}), { code: 'conflict' });
  const granted = await agent.grant();

  t.match(await coordinator.post(resources.run, `/api/runs/${asked}/cancel`, { reason: 'enough' }), {
    state: 'cancelling',
  });
  t.equal((await agent.hear('cancel')).attempt, granted.attempt);
  agent.say(
    {
      type: 'result',
      number: 1,
      result: resultOf(granted.attempt, { outcome: 'cancelled', exitCode: null }),
    },
    { type: 'pull', credit: 1 },
  );
  t.equal((await agent.hear('ack-results')).upTo, 1);
  t.match(await ended(coordinator, asked), { state: 'cancelled', reason: /enough/ });

  const lost = await submit("  - { id: a, on: all, run: 'true' }\n");
  const interrupted = await agent.grant();
  agent.say(
    {
      type: 'result',
      number: 2,
      result: resultOf(interrupted.attempt, { outcome: 'interrupted', exitCode: null }),
    },
    { type: 'pull', credit: 1 },
  );
  await agent.hear('ack-results');
  t.match((await coordinator.get(resources.run, `/api/runs/${lost}`)).jobs, [{ state: 'held' }]);
  const decision = { job: `${lost}/a/n1`, as: 'succeeded', reason: 'I looked' };
  t.match(await coordinator.post(resources.run, '/api/jobs/decide', decision), { state: 'succeeded' });
  t.match(await coordinator.refused('POST', '/api/jobs/decide', { ...decision, job: 'r9/a/n1' }), {
    code: 'not-found',
  });
  t.match(await coordinator.refused('POST', `/api/runs/${lost}/resume`, {}), { code: 'conflict' });

  const page = await coordinator.get(resources.runPage, '/api/runs?limit=1');
  t.same(
    page.items.map(({ id }) => id),
    [lost],
    'the newest first',
  );
  const next = await coordinator.get(resources.runPage, `/api/runs?limit=1&cursor=${page.next}`);
  t.same(
    next.items.map(({ id }) => id),
    [asked],
  );
  t.equal(next.next, null);
  t.same(
    (await coordinator.get(resources.runPage, '/api/runs?state=cancelled')).items.map(({ id }) => id),
    [asked],
  );
  t.same((await coordinator.get(resources.runPage, '/api/runs?state=active')).items, []);
});
