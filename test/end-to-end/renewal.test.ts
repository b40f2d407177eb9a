/**
 * The example of nightly renewal for seven nights, over 300 sites of which 45 are away each night: the real
 * coordinator with clocks that the test sets, agents that speak the real protocol, and the trigger that starts it.
 */
import { join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { start } from '../coordinator/cli/command.ts';
import { CoordinatorProcess } from '../coordinator/coordinator-process.ts';
import { WallClock, wallClockUnavailable } from '../wall-clock.ts';
import { projectRoot } from './hosts.ts';
import { eventually } from './processes.ts';
import { SimulatedAgent, Witness } from './simulated-agent.ts';

const siteCount = 300;
const awayCount = 45;
const nightCount = 7;
const minute = 60;
const pipeline = join(projectRoot, 'coordinator/catalog/examples/renewal/pipeline.yaml');

const picture = z.looseObject({
  nodes: z.int(),
  done: z.int(),
  late: z.int(),
  deferred: z.int(),
  overdue: z.int(),
  superseded: z.int(),
});
const runList = z.object({
  items: z.array(z.looseObject({ id: z.string(), state: z.string(), deferral: picture.nullish() })),
});
const nodeList = z.object({ items: z.array(z.object({ name: z.string(), contact: z.string() })) });
const waves = z.array(
  z.looseObject({
    type: z.string(),
    run: z.string().optional(),
    wave: z.int().optional(),
    nodes: z.array(z.string()).optional().catch(undefined),
  }),
);
type Picture = z.infer<typeof picture>;

const siteOf = (index: number): string => `s${String(index).padStart(3, '0')}`;

/** Another seventh of the sites is hit each night; the first five stay away for good. */
function awayIn(night: number): ReadonlySet<string> {
  const away = new Set(Array.from({ length: 5 }, (_, index) => siteOf(index)));
  for (let step = 0; away.size < awayCount; step += 1) away.add(siteOf((night * 41 + step * 7) % siteCount));
  return away;
}

t.test('seven nights', { skip: wallClockUnavailable ?? false, timeout: 400_000 }, async (t) => {
  // At noon, so that the first night is to come.
  const noon = new Date().setUTCHours(12, 0, 0, 0);
  let offset = Math.round((noon - Date.now()) / 1_000);
  const clock = new WallClock(t.testdir({}), `${offset < 0 ? '' : '+'}${offset}`, true);
  Object.assign(process.env, clock.environment);
  const coordinator = await CoordinatorProcess.start(t);
  for (const name of Object.keys(clock.environment)) delete process.env[name];
  const goOn = (seconds: number): void => {
    offset += seconds;
    clock.set(`${offset < 0 ? '' : '+'}${offset}`);
  };
  const lockstep = (...words: string[]) => start(words, { LOCKSTEP_DATA: coordinator.data }).ended;
  // When time jumps, the coordinator gives up connections that to it were idle for hours.
  const read = async (path: string): Promise<unknown> =>
    eventually(`an answer to ${path}`, () =>
      coordinator.ask('GET', path).then(
        ({ json }) => json,
        () => undefined,
      ),
    );
  const runs = async () => runList.parse(await read('/api/runs?limit=50')).items.toReversed();
  const { token } = z
    .object({ token: z.string() })
    .parse((await coordinator.ask('POST', '/api/tokens', { kind: 'join' })).json);

  const witness = new Witness();
  const here = new Map<string, { comeAndGo(isHere: boolean): void }>();
  for (let index = 0; index < siteCount; index += 1) {
    const name = siteOf(index);
    let isHere = true;
    const agent = new SimulatedAgent({
      name,
      labels: { use: 'site' },
      url: () => (isHere ? coordinator.url : undefined),
      token,
      jobMs: () => 1,
      witness,
    });
    t.teardown(() => agent.end());
    here.set(name, {
      comeAndGo: (next) => {
        isHere = next;
        if (!next) agent.unlink();
      },
    });
  }
  const untilNodes = (count: number, wanted: string) =>
    eventually(
      `${count} sites to be ${wanted}`,
      async () => {
        const { items } = nodeList.parse(await read('/api/nodes?limit=1000'));
        return items.filter(({ contact }) => contact === wanted).length === count ? true : undefined;
      },
      { withinMs: 60_000 },
    );
  await untilNodes(siteCount, 'connected');
  const declared = await lockstep(
    'trigger',
    'add',
    'renewal',
    pipeline,
    '--cron',
    '0 2 * * *',
    '--timezone',
    'UTC',
  );
  t.equal(declared.exitCode, 0, declared.stderr);

  const pictureOf = async (night: number): Promise<Picture | undefined> =>
    (await runs())[night]?.deferral ?? undefined;
  const untilPicture = (night: number, wanted: Partial<Picture>) =>
    eventually(
      `night ${night} to have ${JSON.stringify(wanted)}`,
      async () => {
        const now = await pictureOf(night);
        const fits = Object.entries(wanted).every(([key, value]) => now?.[key] === value);
        return fits ? now : undefined;
      },
      { withinMs: 90_000 },
    );

  /** Who did it first, by run. */
  const canaries = new Map<string, ReadonlySet<string>>();
  /** Who owes last night's part when tonight's begins. */
  let owing: ReadonlySet<string> = new Set();
  for (let night = 0; night < nightCount; night += 1) {
    const away = awayIn(night);
    for (const [name, site] of here) site.comeAndGo(!away.has(name));
    const present = siteCount - awayCount;
    await untilNodes(present, 'connected');
    // Ten at night: whoever is away has been for long enough to count as unreachable.
    goOn(10 * 60 * minute);
    await untilNodes(awayCount, 'unreachable');
    await untilNodes(present, 'connected');
    const before = witness.executions.length;
    goOn(4 * 60 * minute + 1);
    await untilPicture(night, { done: present, deferred: awayCount });
    const tonight = witness.executions.slice(before);
    t.equal(
      new Set(tonight.map(({ node }) => node)).size,
      present,
      `night ${night + 1}: each site that is there`,
    );
    t.equal(tonight.length, present, 'once');
    canaries.set(`r${night + 1}`, new Set(tonight.slice(0, 3).map(({ node }) => node)));
    t.notOk(tonight.some(({ node }) => away.has(node)));
    if (night > 0) await untilPicture(night - 1, { deferred: 0, superseded: owing.size });

    // In the morning most of them are back.
    const back = [...away].filter((name) => Number(name.slice(1)) >= 5);
    for (const name of back) here.get(name)?.comeAndGo(true);
    await untilPicture(night, { done: present, late: back.length, deferred: 5 });
    owing = new Set([...away].filter((name) => !back.includes(name)));
    goOn(10 * 60 * minute - 1);
  }

  await t.test('the canaries first', async (t) => {
    const told = waves.parse((await read('/api/events?since=0')) ?? []);
    const first = told.filter(({ type, wave }) => type === 'WaveOpened' && wave === 0);
    t.equal(first.length, nightCount);
    for (const { run = '', nodes = [] } of first) t.strictSame(canaries.get(run), new Set(nodes), run);
  });

  await t.test('one honest picture', async (t) => {
    t.equal((await lockstep('trigger', 'rm', 'renewal')).exitCode, 0);
    // Three days later the last night is over, too.
    goOn(72 * 60 * minute);
    await untilPicture(nightCount - 1, { deferred: 0, overdue: 5 });
    const listed = await lockstep('runs', '--pipeline', 'renewal');
    const last = /5 overdue/;
    const before = /superseded/;
    t.match(listed.stdout, last);
    t.match(listed.stdout, before);
    t.comment(listed.stdout);
    t.equal((await runs()).length, nightCount, 'one run each night');
  });
  t.strictSame(witness.faults, []);
});
