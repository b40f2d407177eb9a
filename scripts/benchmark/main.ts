/** `scripts/bench`: takes the measurements one after the other, prints them, and cleans up after itself. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { Coordinator } from './coordinator.ts';
import { Fleet } from './fleet.ts';
import { formatHotFunctions } from './hot-functions.ts';
import { measureIdleMemory } from './idle-memory.ts';
import { measureLimits } from './machine-limits.ts';
import { type Options, readOptions, usage } from './options.ts';
import { measureHostTasks } from './real-agents.ts';
import { type Figures, formatReport, judge } from './report.ts';
import { measureReturn, type ReturnFigures } from './return.ts';
import { type Extent, type LoadFigures, measureLoad } from './simulated-load.ts';
import { endAllStarted, root } from './started-process.ts';
import { measureSupervision } from './supervision.ts';

/** Two, because the load shares two cores with the coordinator. */
const fleetProcesses = 2;

const full = {
  extent: { jobs: 40_000, barriers: 100 },
  hostTaskSteps: 150,
  supervisionBatches: 10,
  echoMs: 4_000,
};
const quick = {
  extent: { jobs: 6_000, barriers: 20 },
  hostTaskSteps: 15,
  supervisionBatches: 3,
  echoMs: 1_000,
};

const say = (text: string): void => console.error(`bench: ${text}`);

async function measure(options: Options, folder: string): Promise<Figures> {
  const size = options.quick ? quick : full;
  const { agents, realAgents, profileFolder } = options;
  const startedAt = new Date().toISOString();
  const most = agents.at(-1) ?? 1;
  say(`what this machine can do (${most} bare connections)`);
  const limits = await withFleet((fleet) => measureLimits(folder, fleet, most, size.echoMs));
  say('what the supervisor of a job costs');
  const supervision = await measureSupervision(join(folder, 'supervision'), size.supervisionBatches);
  say(`memory with ${agents.join(', ')} idle agents`);
  const idleMemory = await withFleet((fleet) =>
    withCoordinator(join(folder, 'idle'), null, (coordinator) =>
      measureIdleMemory(coordinator, fleet, agents),
    ),
  );
  const load = await withFleet((fleet) =>
    withCoordinator(join(folder, 'loaded'), profileFolder, (coordinator) =>
      measureAllLoads(coordinator, fleet, agents, size.extent),
    ),
  );
  say(`${options.returning} agents that come back after a kill`);
  const comeBack = await withFleet((fleet) =>
    measureReturnIn(join(folder, 'return'), fleet, options.returning),
  );
  say(`${realAgents} real agents with real processes`);
  const hostTask = await measureHostTasks(
    join(folder, 'real'),
    realAgents,
    size.hostTaskSteps,
    profileFolder,
  );
  return {
    startedAt,
    quick: options.quick,
    machine: machineOf(options),
    limits,
    idleMemory,
    load,
    comeBack,
    hostTask,
    supervision,
  };
}

async function measureReturnIn(folder: string, fleet: Fleet, agents: number): Promise<ReturnFigures> {
  mkdirSync(folder);
  const data = join(folder, 'data');
  const first = await Coordinator.start(data, null);
  let last = first;
  const restart = async (): Promise<Coordinator> => {
    last = await Coordinator.start(data, null, new URL(first.url).host);
    return last;
  };
  try {
    return await measureReturn(first, restart, fleet, agents);
  } finally {
    await last.process.end();
  }
}

async function measureAllLoads(
  coordinator: Coordinator,
  fleet: Fleet,
  counts: readonly number[],
  extent: Extent,
): Promise<LoadFigures[]> {
  const token = await coordinator.createJoinToken();
  const load: LoadFigures[] = [];
  for (const agents of counts) {
    say(`${agents} simulated agents at work`);
    await fleet.grow({ url: coordinator.url, token }, agents);
    load.push(await measureLoad({ coordinator, fleet, cores: cpus().length }, extent));
  }
  return load;
}

async function withFleet<T>(use: (fleet: Fleet) => Promise<T>): Promise<T> {
  const fleet = new Fleet(fleetProcesses);
  try {
    return await use(fleet);
  } finally {
    fleet.end();
  }
}

/** On a folder that is made for it. */
async function withCoordinator<T>(
  folder: string,
  profileFolder: string | null,
  use: (coordinator: Coordinator) => Promise<T>,
): Promise<T> {
  mkdirSync(folder);
  const coordinator = await Coordinator.start(join(folder, 'data'), profileFolder);
  try {
    return await use(coordinator);
  } finally {
    await coordinator.process.end();
  }
}

const machineOf = ({ folder }: Options): Figures['machine'] => ({
  cores: cpus().length,
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  kernel: release(),
  node: process.versions.node,
  folder,
});

async function main(words: readonly string[]): Promise<number> {
  const options = readOptions(words);
  if (options === null) {
    console.log(usage);
    return 0;
  }
  if (options.profileFolder !== null) mkdirSync(options.profileFolder, { recursive: true });
  const folder = mkdtempSync(join(resolve(options.folder), 'lockstep-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void interrupt(folder));
  try {
    const figures = await measure(options, folder);
    const verdicts = judge(figures);
    const json = `${JSON.stringify({ ...figures, budgets: verdicts }, null, 2)}\n`;
    if (options.jsonFile !== null) writeFileSync(options.jsonFile, json);
    process.stdout.write(options.output === 'json' ? json : formatReport(figures));
    if (options.profileFolder !== null) console.error(formatHotFunctions(options.profileFolder, root));
    return verdicts.every(({ isMet }) => isMet) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Processes of the fleet end by themselves when this one does. */
async function interrupt(folder: string): Promise<void> {
  await endAllStarted();
  rmSync(folder, { recursive: true, force: true });
  process.exit(130);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${messageOf(error)}`);
  if (error instanceof LockstepError && error.code === 'usage') console.error(usage);
  process.exitCode = 2;
}
