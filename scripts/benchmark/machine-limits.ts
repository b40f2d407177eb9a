/**
 * What this machine can do at best, so that each figure stands beside the physics under it: one fsync, one
 * websocket round trip, parsing the same bytes, starting a shell.
 */
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { present } from '../../shared/assert.ts';
import { formatFrame } from '../../shared/messages.ts';
import { idleMs } from './echo-clients.ts';
import type { Fleet } from './fleet.ts';
import { cpuOf, memoryOf, nowMs } from './process-usage.ts';
import { sampleFrames } from './sample-frames.ts';
import { type Summary, summaryOf } from './statistics.ts';

export type MachineLimits = {
  /** One append of a small batch and its fdatasync, in the folder where the coordinator's data will be. */
  readonly fsyncMs: Summary;
  /** One frame there and one back, with nobody else talking. */
  readonly roundTripMs: Summary;
  readonly bareServer: {
    readonly connections: number;
    /** Frames in and out each second while all connections talk at once, on the cores that load and server share. */
    readonly exchangesPerSecond: number;
    readonly cpuMsPerExchange: number;
    readonly bytesPerConnection: number;
  };
  /** JSON.parse and JSON.stringify of all frames of one job. */
  readonly jsonMsPerJob: number;
  readonly spawn: { readonly wallMs: Summary; readonly cpuMs: number };
};

export async function measureLimits(
  folder: string,
  fleet: Fleet,
  connections: number,
  forMs: number,
): Promise<MachineLimits> {
  const fsyncMs = measureFsync(folder);
  const spawn = measureSpawn();
  const { roundTripMs } = await echo(fleet, 1, forMs / 2);
  const { bareServer } = await echo(fleet, connections, forMs);
  return { fsyncMs, roundTripMs: summaryOf(roundTripMs), bareServer, jsonMsPerJob: measureJson(), spawn };
}

function measureFsync(folder: string): Summary {
  const file = join(folder, 'fsync');
  const descriptor = openSync(file, 'a');
  const batch = Buffer.alloc(4_096, 'x');
  const samples = Array.from({ length: 300 }, () => {
    const startedAt = nowMs();
    writeSync(descriptor, batch);
    fdatasyncSync(descriptor);
    return nowMs() - startedAt;
  });
  closeSync(descriptor);
  rmSync(file);
  return summaryOf(samples);
}

function measureSpawn(): MachineLimits['spawn'] {
  const before = cpuOf(process.pid);
  const samples = Array.from({ length: 200 }, () => {
    const startedAt = nowMs();
    spawnSync('/bin/sh', ['-c', ':'], { stdio: 'ignore' });
    return nowMs() - startedAt;
  });
  const after = cpuOf(process.pid);
  const cpuMs = after.own + after.children - before.own - before.children;
  return { wallMs: summaryOf(samples), cpuMs: cpuMs / samples.length };
}

async function echo(fleet: Fleet, connections: number, forMs: number) {
  const { fromCoordinator, fromAgent } = sampleFrames();
  const server = fork(join(import.meta.dirname, 'bare-server.ts'), [formatFrame(fromCoordinator.flat())], {
    execArgv: [],
  });
  try {
    const [port] = await once(server, 'message', { signal: AbortSignal.timeout(10_000) });
    const pid = present(server.pid, 'pid of the bare server');
    const emptyBytes = memoryOf(pid).residentBytes;
    let idleBytes = emptyBytes;
    let idleCpu = cpuOf(pid).own;
    const frame = formatFrame(fromAgent.flat());
    const { frames, roundTripMs } = await fleet.echo(
      `ws://127.0.0.1:${Number(port)}`,
      connections,
      frame,
      forMs,
      () => {
        // They stay idle for a moment, see echo-clients.ts.
        setTimeout(() => {
          idleBytes = memoryOf(pid).residentBytes;
          idleCpu = cpuOf(pid).own;
        }, idleMs / 2);
      },
    );
    const cpuMs = cpuOf(pid).own - idleCpu;
    return {
      roundTripMs,
      bareServer: {
        connections,
        exchangesPerSecond: (frames / forMs) * 1_000,
        cpuMsPerExchange: cpuMs / frames,
        bytesPerConnection: (idleBytes - emptyBytes) / connections,
      },
    };
  } finally {
    server.kill('SIGKILL');
  }
}

/** Each side of a frame once: the coordinator parses what agents say and writes what they hear. */
function measureJson(): number {
  const { fromCoordinator, fromAgent } = sampleFrames();
  const texts = fromAgent.map(formatFrame);
  const rounds = 20_000;
  const once = (): void => {
    for (const text of texts) JSON.parse(text);
    for (const messages of fromCoordinator) JSON.stringify(messages);
  };
  for (let round = 0; round < rounds / 10; round += 1) once();
  const startedAt = nowMs();
  for (let round = 0; round < rounds; round += 1) once();
  return (nowMs() - startedAt) / rounds;
}
