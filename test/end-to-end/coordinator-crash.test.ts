/**
 * The coordinator is killed with `kill -9` at random moments of runs over 20 nodes, at least 50 times. After
 * each restart nothing acknowledged is missing from the journal, the run goes on in order, and no job was
 * executed twice.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { projectRoot } from './hosts.ts';
import { type StartedProcess, start, waitForEnd } from './processes.ts';
import { jobOfAttempt, SimulatedAgent, Witness } from './simulated-agent.ts';

const killsMin = 50;
const nodeCount = 20;
const stepCount = 40;
const roundsMax = 200;

const operatorFile = z.object({ url: z.string(), token: z.string() });
const runDocument = z.object({ id: z.string(), state: z.string() });
const journalEvent = z.looseObject({
  seq: z.number(),
  type: z.string(),
  run: z.string().optional(),
  step: z.string().optional(),
  node: z.string().optional(),
  attempt: z.union([z.number(), z.string()]).optional(),
});

class Coordinator {
  readonly data = mkdtempSync(join(tmpdir(), 'lockstep-crash-'));
  url: string | undefined;
  #process: StartedProcess | undefined;

  async start(): Promise<void> {
    const argv = [
      join(projectRoot, 'scripts/lockstep'),
      'coordinator',
      '--data',
      join(this.data, 'data'),
      '--listen',
      '127.0.0.1:0',
    ];
    this.#process = start(argv, process.env);
    const match = await this.#process.printed(/listening on (http:\/\/\S+)/);
    this.url = match[1];
  }

  async kill(): Promise<void> {
    const { child } = present(this.#process, 'a started coordinator');
    this.url = undefined;
    child.kill('SIGKILL');
    await waitForEnd(child, 'the coordinator');
  }

  get #token(): string {
    return operatorFile.parse(JSON.parse(readFileSync(join(this.data, 'data/operator.json'), 'utf8'))).token;
  }

  async request(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${present(this.url, 'a running coordinator')}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return path.startsWith('/api/events')
      ? text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line))
      : JSON.parse(text);
  }

  async events(): Promise<readonly z.infer<typeof journalEvent>[]> {
    return z.array(journalEvent).parse(await this.request('GET', '/api/events?since=0'));
  }

  async dispose(): Promise<void> {
    if (this.url !== undefined) await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

const pipeline = [
  'kind: pipeline',
  'name: crash',
  "roles: { all: { select: 'true' } }",
  'steps:',
  ...Array.from({ length: stepCount }, (_, index) => {
    const strategy = index % 10 === 9 ? ', strategy: { rolling: { maxUnavailable: 5 } }' : '';
    return `  - { id: s${index}, on: all, run: ':'${strategy} }`;
  }),
  '',
].join('\n');

t.test(
  'nothing acknowledged is lost, whenever the coordinator is killed',
  { timeout: 300_000 },
  async (t) => {
    const coordinator = new Coordinator();
    const witness = new Witness();
    await coordinator.start();
    t.teardown(() => coordinator.dispose());
    const { token } = z
      .object({ token: z.string() })
      .parse(await coordinator.request('POST', '/api/tokens', { kind: 'join' }));
    const agents = Array.from(
      { length: nodeCount },
      (_, index) =>
        new SimulatedAgent({
          name: `n${index + 1}`,
          labels: { rack: `r${index % 4}` },
          url: () => coordinator.url,
          token,
          jobMs: () => Math.random() * 10,
          witness,
        }),
    );
    t.teardown(async () => {
      await Promise.all(agents.map((agent) => agent.end()));
    });

    const nodesReady = async (): Promise<number> =>
      z
        .object({ items: z.array(z.object({ state: z.string() })) })
        .parse(await coordinator.request('GET', '/api/nodes?limit=100'))
        .items.filter(({ state }) => state === 'ready').length;
    for (let wait = 0; wait < 200 && (await nodesReady()) < nodeCount; wait += 1) await delay(50);

    let kills = 0;
    let run: string | undefined;
    let runs = 0;
    const states: string[] = [];
    for (let round = 0; round < roundsMax; round += 1) {
      if (run === undefined) {
        if (kills >= killsMin) break;
        run = runDocument.parse(
          await coordinator.request('POST', '/api/runs', { file: 'crash.yaml', text: pipeline }),
        ).id;
        runs += 1;
      }
      await delay(20 + Math.random() * 280);
      const { state } = runDocument.parse(await coordinator.request('GET', `/api/runs/${run}?jobs=false`));
      if (state === 'succeeded' || state === 'failed' || state === 'cancelled') {
        states.push(state);
        run = undefined;
        continue;
      }
      if (kills >= killsMin) continue;
      const before = new Set(witness.acknowledged);
      await coordinator.kill();
      kills += 1;
      await coordinator.start();
      const ended = endedJobs(await coordinator.events());
      const missing = [...before].filter((attempt) => !ended.has(jobOfAttempt(attempt)));
      t.same(missing, [], `kill ${kills}: everything acknowledged is in the journal`);
    }
    t.ok(kills >= killsMin, `${kills} kills`);
    t.same(
      states,
      Array.from({ length: runs }, () => 'succeeded'),
      'every run has ended well',
    );
    t.same(witness.faults, [], 'no agent was told anything wrong');

    const events = await coordinator.events();
    t.same(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
      'the sequence has no gap',
    );
    const perJob = new Map<string, number>();
    for (const { attempt } of witness.executions) {
      const job = jobOfAttempt(attempt);
      perJob.set(job, (perJob.get(job) ?? 0) + 1);
    }
    t.equal(perJob.size, runs * stepCount * nodeCount, 'every job was executed');
    t.same(
      [...perJob].filter(([, count]) => count > 1),
      [],
      'none was executed twice',
    );
    t.same(
      outOfOrder(witness),
      [],
      'no step began on any node before the one before it had been executed on all',
    );
  },
);

const endedJobs = (events: readonly z.infer<typeof journalEvent>[]): ReadonlySet<string> =>
  new Set(
    events
      .filter(({ type }) => type === 'AttemptEnded')
      .map(({ run, step, node }) => `${run}/${step}/${node}`),
  );

/** By what the agents did, not by what the journal says. */
function outOfOrder({ executions }: Witness): readonly string[] {
  const faults: string[] = [];
  const reached = new Map<string, number>();
  for (const { attempt, step } of executions) {
    const run = attempt.slice(0, attempt.indexOf('/'));
    const index = Number(step.slice(1));
    const highest = reached.get(run) ?? 0;
    if (index < highest) faults.push(`${attempt} after s${highest} had begun`);
    reached.set(run, Math.max(highest, index));
  }
  return faults;
}
