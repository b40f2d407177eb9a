/**
 * What the supervisor adds to a job: the CPU of a no-op script under it beside the same script started directly,
 * and the memory of one that waits for its script. What a whole job costs is in real-agents.ts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readClaim, supervisorName, supervisorScript } from '../../agent/run/supervisor.ts';
import { present } from '../../shared/assert.ts';
import { cpuOf, memoryOf } from './process-usage.ts';
import { percentile } from './statistics.ts';

export type SupervisionFigures = {
  /** Of each kind. */
  readonly scripts: number;
  /** Medians of batches, with what starting them costs. */
  readonly directCpuMs: number;
  readonly supervisedCpuMs: number;
  readonly addedCpuMs: number;
  /** Of one living supervisor: its share of all that it has mapped (PSS), and what is its alone (USS). */
  readonly proportionalBytes: number;
  readonly privateBytes: number;
};

/** CPU comes in ticks of 10 ms: of so many scripts together it is known to a few hundredths of a millisecond. */
const batchScripts = 50;
const startMsMax = 10_000;
const script = ['/bin/sh', '-c', ':'] as const;
const options = { stdio: 'ignore' } as const;

const supervised = (folder: string, command: readonly string[]): string[] => [
  '-c',
  supervisorScript,
  supervisorName,
  folder,
  ...command,
];

export async function measureSupervision(folder: string, batches: number): Promise<SupervisionFigures> {
  const direct: number[] = [];
  const under: number[] = [];
  // By turns, so that what else the machine does falls on both.
  for (let batch = 0; batch < batches; batch += 1) {
    const [program, ...words] = script;
    direct.push(cpuOfEach(() => spawnSync(program, words, options)));
    const folders = Array.from({ length: batchScripts }, (_, index) => join(folder, `${batch}-${index}`));
    for (const each of folders) mkdirSync(each, { recursive: true });
    under.push(cpuOfEach((index) => spawnSync(program, supervised(folders[index] ?? '', script), options)));
  }
  const memory = await measureMemory(join(folder, 'living'));
  rmSync(folder, { recursive: true });
  return {
    scripts: batches * batchScripts,
    directCpuMs: percentile(direct, 0.5),
    supervisedCpuMs: percentile(under, 0.5),
    addedCpuMs: percentile(
      under.map((cpuMs, batch) => cpuMs - (direct[batch] ?? Number.NaN)),
      0.5,
    ),
    ...memory,
  };
}

function cpuOfEach(run: (index: number) => void): number {
  const before = cpuOf(process.pid);
  for (let index = 0; index < batchScripts; index += 1) run(index);
  const after = cpuOf(process.pid);
  return (after.own + after.children - before.own - before.children) / batchScripts;
}

async function measureMemory(
  folder: string,
): Promise<Pick<SupervisionFigures, 'proportionalBytes' | 'privateBytes'>> {
  mkdirSync(folder);
  // Ends when its input does, so nothing is left however this ends.
  const child = spawn('/bin/sh', supervised(folder, ['/bin/cat']), { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    await untilItWaits(folder);
    const { proportionalBytes, privateBytes } = memoryOf(present(child.pid, 'pid of a supervisor'));
    return { proportionalBytes, privateBytes };
  } finally {
    await end(child);
  }
}

async function untilItWaits(folder: string): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const claim = readClaim(folder);
    if (claim.kind === 'supervised' && claim.main !== undefined) return;
    if (performance.now() - startedAt > startMsMax) throw new Error(`no supervisor has started in ${folder}`);
    await sleep(10);
  }
}

async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.stdin?.end();
  await exit;
}
