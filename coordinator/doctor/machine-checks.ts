/** What the data stands on: the disk, the clock, who may read the files. */
import { open, readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { isMissing, privateFileMode, removeIfThere, temporaryName } from '../../shared/disk/durable-file.ts';
import { limits } from '../../shared/limits.ts';
import { type Finding, finding, type Subject } from './finding.ts';

/** Whoever does not answer although he has the lock has been told before. */
export async function* checkLock({ client }: Subject): AsyncGenerator<Finding | string> {
  yield client === null ? 'no coordinator runs here' : `a coordinator runs here, at ${client.connection.url}`;
}

export async function* checkDisk({ dataFolder }: Subject): AsyncGenerator<Finding | string> {
  const { bavail, bsize } = await statfs(dataFolder);
  const free = bavail * bsize;
  if (free < limits.dataFreeBytesMin)
    yield finding(
      `${free} bytes are free, and there should be ${limits.dataFreeBytesMin}`,
      'free some, enlarge the disk, or keep less (--keep-event-bytes, --keep-log-bytes)',
      { file: dataFolder },
    );
  const { p50, p99 } = await measureFsync(dataFolder);
  yield `an fsync takes ${p50.toFixed(1)} ms, the 99th percentile is ${p99.toFixed(1)} ms`;
  if (p50 > limits.fsyncSlowMs)
    yield finding(
      `an fsync takes ${p50.toFixed(0)} ms, and everything waits for fsyncs`,
      'use a faster disk, or find out what else writes to this one',
      { file: dataFolder },
    );
}

async function measureFsync(folder: string): Promise<{ readonly p50: number; readonly p99: number }> {
  const file = temporaryName(path.join(folder, 'fsync'));
  const handle = await open(file, 'wx', privateFileMode);
  const times: number[] = [];
  try {
    const block = Buffer.alloc(4_096, 1);
    for (let probe = 0; probe < limits.fsyncProbes; probe += 1) {
      const begun = performance.now();
      await handle.write(block);
      await handle.datasync();
      times.push(performance.now() - begun);
    }
  } finally {
    await handle.close();
    await removeIfThere(file);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.ceil(times.length * share) - 1] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

export async function* checkClock({ state, journal }: Subject): AsyncGenerator<Finding | string> {
  if (state === null || journal === null) return;
  const behind = state.at - Date.now();
  if (behind > limits.clockAheadMs)
    yield finding(
      `the clock of this machine is ${Math.round(behind / 1_000)} s behind the last event of the journal`,
      'set the clock; until it has caught up, a coordinator that starts goes on from the time of that event',
      { seq: state.seq },
    );
  const ahead = new Map<string, number>();
  const from = Math.max(await journal.oldest(), journal.last.seq - limits.journalPageEventsMax + 1);
  for await (const page of journal.read({ from }))
    for (const event of page) if (event.type === 'JobStarted') ahead.set(event.node, event.nodeAt - event.at);
  for (const [node, ms] of ahead)
    if (ms > limits.clockAheadMs)
      yield finding(
        `the clock of ${node} is ${Math.round(ms / 1_000)} s ahead of the coordinator's`,
        `set the clock of ${node}: times that it reports are shown as it says`,
      );
}

/** Others may not look into anything here. */
export async function* checkModes({
  dataFolder,
  keyFile,
  places,
}: Subject): AsyncGenerator<Finding | string> {
  const inside = [
    places.journal,
    places.snapshots,
    places.blobs,
    places.logs,
    places.secrets,
    places.operator,
  ];
  for (const file of [dataFolder, keyFile, ...inside, ...(await filesIn(places.journal))]) {
    const mode = await modeOf(file);
    if (mode === undefined || (mode & 0o077) === 0) continue;
    const octal = mode.toString(8).padStart(4, '0');
    yield finding(`others may use it (mode ${octal})`, `chmod go= ${file}`, { file });
  }
}

async function modeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mode & 0o777;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names.map((name) => path.join(folder, name));
}
