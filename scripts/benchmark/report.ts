/**
 * The figures as a table, beside their budgets and the limits of the machine. What a budget is stands in the
 * design; here is only whether it was met. A budget is judged at the size that it was written for.
 */
import type { IdleMemory } from './idle-memory.ts';
import type { MachineLimits } from './machine-limits.ts';
import type { HostTaskFigures } from './real-agents.ts';
import type { ReturnFigures } from './return.ts';
import type { LoadFigures } from './simulated-load.ts';
import type { SupervisionFigures } from './supervision.ts';
import { formatTable } from './table.ts';

export type Machine = {
  readonly cores: number;
  readonly processor: string;
  readonly kernel: string;
  readonly node: string;
  readonly folder: string;
};

export type Figures = {
  readonly startedAt: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly limits: MachineLimits;
  /** The first is of a coordinator without agents. */
  readonly idleMemory: readonly IdleMemory[];
  readonly load: readonly LoadFigures[];
  readonly comeBack: ReturnFigures;
  readonly hostTask: HostTaskFigures;
  readonly supervision: SupervisionFigures;
};

export type Verdict = {
  readonly what: string;
  readonly measured: number;
  readonly budget: number;
  readonly unit: string;
  readonly isMet: boolean;
};

/** How many agents the budgets were written for. */
export const budgetAgents = 1_000;
/** And those for very many of them. */
const budgetReturning = 10_000;

const budgets = {
  jobsPerSecondMin: 4_000,
  coordinatorCpuMsPerJobMax: 0.2,
  cpuMsPerHostTaskMax: 10,
  barrierP99MsMax: 20,
  backMsMax: 30_000,
  residentBytesMax: 600 * 1024 ** 2,
  supervisorCpuMsMax: 3,
  supervisorMebibytesMax: 2,
} as const;

/** Nothing when it was done quickly; without a measurement of so many agents, only what does not depend on it. */
export function judge({ quick, load, comeBack, hostTask, supervision }: Figures): Verdict[] {
  if (quick) return [];
  const atMost = (what: string, measured: number, budget: number, unit: string): Verdict => ({
    what,
    measured,
    budget,
    unit,
    isMet: measured <= budget,
  });
  const hostTasks = atMost(
    'CPU per no-op host task',
    hostTask.cpuMsPerTask,
    budgets.cpuMsPerHostTaskMax,
    'ms',
  );
  const returns =
    comeBack.agents < budgetReturning
      ? []
      : [
          atMost('all agents back after a kill', comeBack.backMs, budgets.backMsMax, 'ms'),
          atMost('nodes counted as lost meanwhile', comeBack.nodesUnreachable, 0, ''),
          atMost(
            `coordinator memory with ${whole(comeBack.agents)} agents`,
            comeBack.memoryAfter.residentBytes / 1024 ** 2,
            budgets.residentBytesMax / 1024 ** 2,
            'MiB',
          ),
        ];
  const alone = [
    hostTasks,
    atMost('CPU that the supervisor adds', supervision.addedCpuMs, budgets.supervisorCpuMsMax, 'ms'),
    atMost(
      'memory of a supervisor',
      supervision.proportionalBytes / 1024 ** 2,
      budgets.supervisorMebibytesMax,
      'MiB',
    ),
  ];
  const full = load.find(({ agents }) => agents === budgetAgents);
  if (full === undefined) return [...alone, ...returns];
  const rate = full.jobsPerSecond;
  return [
    {
      what: 'durable jobs per second',
      measured: rate,
      budget: budgets.jobsPerSecondMin,
      unit: '/s',
      isMet: rate >= budgets.jobsPerSecondMin,
    },
    atMost('coordinator CPU per job', full.coordinatorCpuMsPerJob, budgets.coordinatorCpuMsPerJobMax, 'ms'),
    ...alone,
    atMost('barrier latency p99', full.barrierMs.p99, budgets.barrierP99MsMax, 'ms'),
    ...returns,
  ];
}

export function formatReport(figures: Figures): string {
  const { machine, limits, load, comeBack, hostTask, supervision } = figures;
  const verdicts = judge(figures);
  const loadTable = formatTable([
    ['', ...load.map(({ agents }) => `${whole(agents)} agents`), 'budget', 'limit of this machine'],
    ...loadRows(figures),
  ]);
  const taskTable = formatTable([
    [`per no-op host task`, `${hostTask.agents} real agents`, 'budget', 'limit of this machine'],
    [
      'CPU, both ends',
      ms(hostTask.cpuMsPerTask),
      `≤ ${budgets.cpuMsPerHostTaskMax} ms`,
      `${ms(limits.spawn.cpuMs)} to start sh -c : once`,
    ],
    ['  of the agent', ms(hostTask.agentCpuMs), '', ''],
    ['  of supervisor and script', ms(hostTask.processesCpuMs), '', ''],
    ['  of the coordinator', ms(hostTask.coordinatorCpuMs), '', ''],
    [
      '  added by the supervisor',
      ms(supervision.addedCpuMs),
      `≤ ${budgets.supervisorCpuMsMax} ms`,
      `${ms(supervision.directCpuMs)} for the script without it`,
    ],
    [
      'memory of a supervisor, shared pages in part',
      mib(supervision.proportionalBytes),
      `≤ ${budgets.supervisorMebibytesMax} MiB`,
      '',
    ],
    ['  of it private', mib(supervision.privateBytes), '', ''],
    ['tasks per second', whole(hostTask.tasksPerSecond), '', ''],
    ['memory of one agent', mib(hostTask.agentResidentBytes), '', ''],
    ['  of it private', mib(hostTask.agentPrivateBytes), '', ''],
  ]);
  const returnTable = formatTable([
    ['coordinator killed and started', `${whole(comeBack.agents)} agents`, 'budget'],
    ['until it listens again', ms(comeBack.restartMs), ''],
    ['then until all are back', ms(comeBack.backMs), `≤ ${whole(budgets.backMsMax)} ms`],
    ['nodes counted as lost meanwhile', whole(comeBack.nodesUnreachable), '0'],
    [
      'coordinator memory, all back',
      mib(comeBack.memoryAfter.residentBytes),
      `≤ ${mib(budgets.residentBytesMax)}`,
    ],
    ['  before the kill', mib(comeBack.memoryBefore.residentBytes), ''],
    ['  at its peak', mib(comeBack.memoryAfter.peakBytes), ''],
  ]);
  return [
    `${machine.cores} cores (${machine.processor}), Linux ${machine.kernel}, Node ${machine.node}, data in ${machine.folder}`,
    `fsync ${ms(limits.fsyncMs.p50)} (p99 ${ms(limits.fsyncMs.p99)}); figures of ${load.reduce((sum, { jobs }) => sum + jobs, 0)} jobs and ${hostTask.tasks} host tasks${figures.quick ? ', quickly taken' : ''}`,
    '',
    loadTable,
    '',
    returnTable,
    '',
    taskTable,
    '',
    ...verdicts.map(formatVerdict),
    ...noteOthers(load),
    '',
  ].join('\n');
}

function loadRows({ limits, load, idleMemory }: Figures): string[][] {
  const [none] = idleMemory;
  const idle =
    (format: (found: IdleMemory) => string) =>
    ({ agents }: LoadFigures): string => {
      const found = idleMemory.find((one) => one.agents === agents);
      return found === undefined ? '' : format(found);
    };
  const row = (name: string, figure: (one: LoadFigures) => string, budget = '', limit = ''): string[] => [
    name,
    ...load.map(figure),
    budget,
    limit,
  ];
  const { bareServer, fsyncMs, roundTripMs, jsonMsPerJob } = limits;
  return [
    row(
      'durable jobs per second',
      ({ jobsPerSecond }) => whole(jobsPerSecond),
      `≥ ${whole(budgets.jobsPerSecondMin)}`,
      `${whole(bareServer.exchangesPerSecond)} bare websocket exchanges`,
    ),
    row(
      'coordinator CPU per job',
      ({ coordinatorCpuMsPerJob }) => ms(coordinatorCpuMsPerJob),
      `≤ ${budgets.coordinatorCpuMsPerJobMax} ms`,
      `${ms(bareServer.cpuMsPerExchange)} bare exchange + ${ms(jsonMsPerJob)} JSON`,
    ),
    row("  the load's CPU per job", ({ loadCpuMsPerJob }) => ms(loadCpuMsPerJob)),
    row('  CPU taken by others', ({ othersShare }) => percent(othersShare)),
    row(
      'barrier latency p50',
      ({ barrierMs }) => ms(barrierMs.p50),
      '',
      `${ms(fsyncMs.p50)} fsync + ${ms(roundTripMs.p50)} round trip`,
    ),
    row(
      'barrier latency p99',
      ({ barrierMs }) => ms(barrierMs.p99),
      `≤ ${budgets.barrierP99MsMax} ms`,
      `${ms(fsyncMs.p99)} fsync + ${ms(roundTripMs.p99)} round trip`,
    ),
    row('  until the last grant p50', ({ barrierAllMs }) => ms(barrierAllMs.p50)),
    row('  until the last grant p99', ({ barrierAllMs }) => ms(barrierAllMs.p99)),
    row('creation of the run', ({ runCreationMs }) => ms(runCreationMs)),
    row(
      'coordinator memory, idle',
      idle(({ memory }) => mib(memory.residentBytes)),
      '',
      `${none === undefined ? '' : mib(none.memory.residentBytes)} without agents`,
    ),
    row(
      '  of it private',
      idle(({ memory }) => mib(memory.privateBytes)),
      '',
      `${none === undefined ? '' : mib(none.memory.privateBytes)} without agents`,
    ),
    row(
      '  for each agent',
      idle(({ agents, memory }) =>
        none === undefined ? '' : kib((memory.residentBytes - none.memory.residentBytes) / agents),
      ),
      '',
      `${kib(bareServer.bytesPerConnection)} a bare connection`,
    ),
    row('  after the load', ({ memory }) => mib(memory.residentBytes)),
    row('  at its peak', ({ memory }) => mib(memory.peakBytes)),
  ];
}

/** From where on a figure says more about the neighbours than about what was measured. */
const othersShareMax = 0.1;

function noteOthers(load: readonly LoadFigures[]): string[] {
  const share = Math.max(...load.map(({ othersShare }) => othersShare));
  if (share <= othersShareMax) return [];
  return [
    `note    others took up to ${percent(share)} of the CPU meanwhile: measure again when they are done`,
  ];
}

export const formatVerdict = ({ what, measured, budget, unit, isMet }: Verdict): string =>
  `${isMet ? 'met   ' : 'MISSED'}  ${what}: ${short(measured)} ${unit}, budget ${short(budget)} ${unit}`;

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Three digits say as much as the measurement knows. */
const short = (value: number): string => (value >= 100 ? whole(value) : String(Number(value.toPrecision(3))));

const percent = (share: number): string => `${Math.round(share * 100)} %`;
const ms = (value: number): string => `${short(value)} ms`;
const mib = (bytes: number): string => `${short(bytes / 1024 ** 2)} MiB`;
const kib = (bytes: number): string => `${short(bytes / 1024)} KiB`;
