/** The arithmetic of the benchmark: a figure that is wrong is worse than none, because somebody believes it. */
import t from 'tap';
import { sharesOf } from '../../scripts/benchmark/fleet.ts';
import { hotFunctions } from '../../scripts/benchmark/hot-functions.ts';
import { readOptions } from '../../scripts/benchmark/options.ts';
import { type Figures, formatReport, judge } from '../../scripts/benchmark/report.ts';
import type { LoadFigures } from '../../scripts/benchmark/simulated-load.ts';
import {
  barrierLatencies,
  growthBetween,
  mergeSteps,
  percentile,
  summaryOf,
} from '../../scripts/benchmark/statistics.ts';
import { formatTable } from '../../scripts/benchmark/table.ts';

t.test('percentiles are samples that were taken, whatever their order', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.strictSame(summaryOf(hundred), { samples: 100, p50: 50, p99: 99, max: 100 });
  t.strictSame(summaryOf([7]), { samples: 1, p50: 7, p99: 7, max: 7 });
  t.equal(percentile([10, 9, 100], 0.5), 10, 'by number, not by text');
  t.ok(Number.isNaN(percentile([], 0.5)));
});

t.test('growth of a figure between two moments', async (t) => {
  const samples = [
    { at: 0, value: 100 },
    { at: 10, value: 200 },
    { at: 20, value: 600 },
  ];
  t.equal(growthBetween(samples, 0, 20), 500);
  t.equal(growthBetween(samples, 5, 15), 250, 'between the looks');
  t.equal(growthBetween(samples, -5, 25), 500, 'nothing is made up outside of them');
});

t.test('barriers are taken over all processes', async (t) => {
  const one = [
    { step: 's001', firstGrantAt: 205, lastGrantAt: 240, lastResultAt: 290 },
    { step: 's000', firstGrantAt: 100, lastGrantAt: 120, lastResultAt: 200 },
  ];
  const other = [
    { step: 's000', firstGrantAt: 101, lastGrantAt: 130, lastResultAt: 195 },
    { step: 's001', firstGrantAt: 203, lastGrantAt: 230, lastResultAt: 300 },
  ];
  const merged = mergeSteps([one, other]);
  t.strictSame(merged, [
    { step: 's000', firstGrantAt: 100, lastGrantAt: 130, lastResultAt: 200 },
    { step: 's001', firstGrantAt: 203, lastGrantAt: 240, lastResultAt: 300 },
  ]);
  t.strictSame(barrierLatencies(merged, 'firstGrantAt'), [3]);
  t.strictSame(barrierLatencies(merged, 'lastGrantAt'), [40]);
});

t.test('everybody gets a share, and all of it is shared', async (t) => {
  t.strictSame(sharesOf(1_000, 2), [500, 500]);
  t.strictSame(sharesOf(10, 3), [3, 3, 4]);
  t.strictSame(sharesOf(1, 2), [0, 1]);
});

t.test('columns', async (t) => {
  const table = formatTable([
    ['', '10', 'limit'],
    ['jobs', '4,000', ''],
  ]);
  t.equal(table, '          10   limit\njobs   4,000');
});

const summary = { samples: 100, p50: 2, p99: 19.96, max: 30 };
const memory = {
  residentBytes: 100 * 1024 ** 2,
  privateBytes: 60 * 1024 ** 2,
  proportionalBytes: 80 * 1024 ** 2,
  peakBytes: 120 * 1024 ** 2,
};

const loadOf = (agents: number): LoadFigures => ({
  agents,
  jobs: 40_000,
  jobsPerSecond: 4_000,
  coordinatorCpuMsPerJob: 0.2,
  loadCpuMsPerJob: 0.15,
  othersShare: 0.01,
  barrierMs: summary,
  barrierAllMs: summary,
  runCreationMs: 100,
  memory,
});

/** Just within every budget. */
const figures = {
  startedAt: '2026-01-01T00:00:00.000Z',
  quick: false,
  machine: { cores: 2, processor: 'CPU', kernel: '6.1', node: '24.0.0', folder: '/var/tmp' },
  limits: {
    fsyncMs: summary,
    roundTripMs: summary,
    bareServer: {
      connections: 1_000,
      exchangesPerSecond: 26_000,
      cpuMsPerExchange: 0.02,
      bytesPerConnection: 7_168,
    },
    jsonMsPerJob: 0.01,
    spawn: { wallMs: summary, cpuMs: 1.5 },
  },
  idleMemory: [0, 100, 1_000].map((agents) => ({
    agents,
    memory: { ...memory, residentBytes: memory.residentBytes + agents * 10_240 },
  })),
  load: [loadOf(100), loadOf(1_000)],
  comeBack: {
    agents: 10_000,
    restartMs: 2_000,
    backMs: 30_000,
    nodesUnreachable: 0,
    memoryBefore: memory,
    memoryAfter: { ...memory, residentBytes: 600 * 1024 ** 2 },
  },
  hostTask: {
    agents: 8,
    tasks: 480,
    cpuMsPerTask: 10,
    agentCpuMs: 5,
    processesCpuMs: 4.5,
    coordinatorCpuMs: 0.5,
    tasksPerSecond: 150,
    agentResidentBytes: 70 * 1024 ** 2,
    agentPrivateBytes: 25 * 1024 ** 2,
  },
  supervision: {
    scripts: 500,
    directCpuMs: 1.5,
    supervisedCpuMs: 4.5,
    addedCpuMs: 3,
    proportionalBytes: 2 * 1024 ** 2,
    privateBytes: 0.2 * 1024 ** 2,
  },
} satisfies Figures;

t.test('budgets are met up to their very edge', async (t) => {
  t.strictSame(
    judge(figures).map(({ what, isMet }) => [what, isMet]),
    [
      ['durable jobs per second', true],
      ['coordinator CPU per job', true],
      ['CPU per no-op host task', true],
      ['CPU that the supervisor adds', true],
      ['memory of a supervisor', true],
      ['barrier latency p99', true],
      ['all agents back after a kill', true],
      ['nodes counted as lost meanwhile', true],
      ['coordinator memory with 10,000 agents', true],
    ],
  );
  const worse = {
    ...loadOf(1_000),
    jobsPerSecond: 3_999,
    coordinatorCpuMsPerJob: 0.201,
    barrierMs: { ...summary, p99: 20.01 },
  };
  const missed = judge({
    ...figures,
    load: [worse],
    comeBack: {
      ...figures.comeBack,
      backMs: 30_001,
      nodesUnreachable: 1,
      memoryAfter: { ...memory, residentBytes: 601 * 1024 ** 2 },
    },
    hostTask: { ...figures.hostTask, cpuMsPerTask: 10.1 },
    supervision: { ...figures.supervision, addedCpuMs: 3.1, proportionalBytes: 2.1 * 1024 ** 2 },
  });
  t.ok(missed.every(({ isMet }) => !isMet));
  t.strictSame(
    judge({
      ...figures,
      load: [{ ...worse, agents: 100 }],
      comeBack: { ...figures.comeBack, agents: 1_000 },
    }).map(({ what }) => what),
    ['CPU per no-op host task', 'CPU that the supervisor adds', 'memory of a supervisor'],
    'what was written for 1,000 agents is not judged by fewer',
  );
  t.strictSame(judge({ ...figures, quick: true }), [], 'and nothing by a quick look');
});

t.test('the report has every figure beside its budget and its limit', async (t) => {
  const lines = formatReport(figures).split('\n');
  const row = (name: string) => lines.find((line) => line.startsWith(name))?.split(/ {3,}/);
  t.strictSame(row('durable jobs per second'), [
    'durable jobs per second',
    '4,000',
    '4,000',
    '≥ 4,000',
    '26,000 bare websocket exchanges',
  ]);
  t.strictSame(row('barrier latency p99')?.slice(0, 4), ['barrier latency p99', '20 ms', '20 ms', '≤ 20 ms']);
  t.strictSame(row('  for each agent')?.slice(1, 3), ['10 KiB', '10 KiB']);
  t.strictSame(row('coordinator memory, idle')?.slice(1, 3), ['101 MiB', '110 MiB']);
  t.strictSame(row('then until all are back')?.slice(1), ['30,000 ms', '≤ 30,000 ms']);
  t.strictSame(row('coordinator memory, all back')?.slice(1), ['600 MiB', '≤ 600 MiB']);
  t.strictSame(row('CPU, both ends')?.slice(1, 3), ['10 ms', '≤ 10 ms']);
  t.strictSame(row('  added by the supervisor')?.slice(1), [
    '3 ms',
    '≤ 3 ms',
    '1.5 ms for the script without it',
  ]);
  t.strictSame(row('memory of a supervisor')?.slice(1, 3), ['2 MiB', '≤ 2 MiB']);
  t.notMatch(formatReport(figures), 'note');
  const disturbed = { ...figures, load: [loadOf(100), { ...loadOf(1_000), othersShare: 0.3 }] };
  t.match(formatReport(disturbed), 'note    others took up to 30 % of the CPU');
});

t.test('options', async (t) => {
  t.match(readOptions([]), { output: 'table', agents: [10, 100, 1_000], quick: false, jsonFile: null });
  t.match(readOptions(['-o', 'json', '--agents', '5', '--json', 'x.json']), {
    output: 'json',
    agents: [5],
    jsonFile: 'x.json',
  });
  t.equal(readOptions([])?.returning, 10_000);
  t.equal(readOptions(['--quick'])?.returning, 1_000);
  t.equal(readOptions(['--quick', '--returning', '50'])?.returning, 50);
  t.equal(readOptions(['--help']), null);
  for (const words of [
    ['--agents', '10,10'],
    ['--agents', 'many'],
    ['--agents', '20000'],
    ['-o', 'yaml'],
    ['--real', '0'],
    ['--fast'],
    ['more'],
  ]) {
    t.throws(() => readOptions(words), { code: 'usage' }, words.join(' '));
  }
});

t.test('hot functions have the time of their own, without the time of waiting', async (t) => {
  const frame = (functionName: string, url: string, lineNumber: number) => ({
    functionName,
    url,
    lineNumber,
  });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)', '', -1) },
      { id: 2, callFrame: frame('(idle)', '', -1) },
      { id: 3, callFrame: frame('evolve', 'file:///tree/coordinator/core/evolve.ts', 9) },
      { id: 4, callFrame: frame('', 'node:net', 4) },
      { id: 5, callFrame: frame('evolve', 'file:///tree/coordinator/core/evolve.ts', 9) },
    ],
    samples: [2, 3, 4, 5],
    timeDeltas: [10_000, 2_000, 1_000, 1_000],
  };
  t.strictSame(hotFunctions(profile, '/tree'), [
    { name: 'evolve coordinator/core/evolve.ts:10', ms: 3, share: 0.75 },
    { name: '(anonymous) node:net:5', ms: 1, share: 0.25 },
  ]);
});
