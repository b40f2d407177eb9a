/** What the coordinator does for so many agents: durable jobs per second, CPU per job, barrier latency, memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { present } from '../../shared/assert.ts';
import type { Coordinator } from './coordinator.ts';
import type { Fleet } from './fleet.ts';
import { barrierPipeline, chainPipeline } from './pipelines.ts';
import { CpuTimeline, cpuOf, type Memory, machineBusyMs, memoryOf, nowMs } from './process-usage.ts';
import { barrierLatencies, growthBetween, type Summary, summaryOf } from './statistics.ts';

export type Extent = {
  /** Jobs of the run whose throughput is measured. */
  readonly jobs: number;
  readonly barriers: number;
};

export type LoadFigures = {
  readonly agents: number;
  readonly jobs: number;
  /** From the first grant that an agent got to the last acknowledgement. */
  readonly jobsPerSecond: number;
  readonly coordinatorCpuMsPerJob: number;
  /** Of the processes that simulate the agents. */
  readonly loadCpuMsPerJob: number;
  /** How much of the machine everybody else used during all of it, of 1. */
  readonly othersShare: number;
  /** From the last result of a step to the first grant of the next. */
  readonly barrierMs: Summary;
  /** From the last result of a step to the last grant of the next. */
  readonly barrierAllMs: Summary;
  readonly runCreationMs: number;
  /** Of the coordinator, which keeps all these runs. */
  readonly memory: Memory;
};

const settleMs = 2_000;
const progressPollMs = 50;
const runMsMax = 300_000;
/** No longer chains: a pipeline has at most 500 steps. */
const stepsMax = 400;
/** Results per second while barriers are measured: the coordinator is at work, but not at its end. */
const barrierResultsPerSecond = 2_000;
const barrierJobMsMin = 50;

type Setting = { readonly coordinator: Coordinator; readonly fleet: Fleet; readonly cores: number };

export async function measureLoad(setting: Setting, extent: Extent): Promise<LoadFigures> {
  const { coordinator, fleet } = setting;
  const { agents } = fleet;
  await sleep(settleMs);
  // What is measured is a coordinator that has been at work, not one that still compiles itself.
  await runThrough(
    setting,
    chainPipeline(stepsFor(extent.jobs / 4, agents)),
    stepsFor(extent.jobs / 4, agents),
    0,
  );
  const others = watchOthers(setting);
  const throughput = await measureThroughput(setting, stepsFor(extent.jobs, agents));
  const barriers = await measureBarriers(setting, extent.barriers);
  return {
    agents,
    ...throughput,
    ...barriers,
    othersShare: others(),
    memory: memoryOf(coordinator.process.pid),
  };
}

const stepsFor = (jobs: number, agents: number): number =>
  Math.min(stepsMax, Math.max(2, Math.round(jobs / agents)));

/** Runs a pipeline to its end: when the last result is acknowledged, which is when it is durable. */
async function runThrough({ coordinator, fleet }: Setting, text: string, steps: number, jobMsMax: number) {
  const jobs = steps * fleet.agents;
  fleet.measure(jobMsMax);
  const submittedAt = nowMs();
  const run = await coordinator.submit(text);
  const createdAt = nowMs();
  const deadline = createdAt + runMsMax;
  while (fleet.acknowledged < jobs) {
    coordinator.process.checkRunning();
    if (nowMs() > deadline) throw new Error(`${fleet.acknowledged} of ${jobs} jobs within ${runMsMax} ms`);
    await sleep(progressPollMs);
  }
  await coordinator.waitForRun(run, runMsMax);
  return { jobs, creationMs: createdAt - submittedAt, measured: await fleet.report() };
}

/** Ask at the end: what share of the machine's time neither the coordinator (with what it started) nor we used. */
function watchOthers({ coordinator, fleet, cores }: Setting): () => number {
  const look = () => {
    const { own, children } = cpuOf(coordinator.process.pid);
    const ours = own + children + fleet.cpuMs + cpuOf(process.pid).own;
    return { at: nowMs(), others: machineBusyMs() - ours };
  };
  const before = look();
  return () => {
    const after = look();
    return Math.max(0, (after.others - before.others) / (after.at - before.at) / cores);
  };
}

async function measureThroughput(setting: Setting, steps: number) {
  const { coordinator, fleet } = setting;
  const timeline = new CpuTimeline(coordinator.process.pid);
  const loadBefore = fleet.cpuMs;
  const { jobs, creationMs, measured } = await runThrough(setting, chainPipeline(steps), steps, 0);
  const loadAfter = fleet.cpuMs;
  timeline.end();
  const from = present(measured.firstGrantAt, 'a first grant');
  const to = present(measured.lastAcknowledgedAt, 'a last acknowledgement');
  return {
    jobs,
    jobsPerSecond: (jobs / (to - from)) * 1_000,
    coordinatorCpuMsPerJob: growthBetween(timeline.samples, from, to) / jobs,
    loadCpuMsPerJob: (loadAfter - loadBefore) / jobs,
    runCreationMs: creationMs,
  };
}

async function measureBarriers(setting: Setting, barriers: number) {
  // Jobs take random times, as they do in life: the last result comes when the others are done with.
  const jobMsMax = Math.max(barrierJobMsMin, (setting.fleet.agents / barrierResultsPerSecond) * 1_000);
  const steps = barriers + 1;
  const { measured } = await runThrough(setting, barrierPipeline(steps), steps, jobMsMax);
  return {
    barrierMs: summaryOf(barrierLatencies(measured.steps, 'firstGrantAt')),
    barrierAllMs: summaryOf(barrierLatencies(measured.steps, 'lastGrantAt')),
  };
}
