/** The doctor finds each kind of damage with its place, says nothing about healthy data, and cuts when it is told. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import * as z from 'zod';
import type { Event } from '../../../coordinator/core/events.ts';
import { archiveSegments } from '../../../coordinator/journal/archive.ts';
import { FileJournal } from '../../../coordinator/journal/file-journal.ts';
import { encodeHead, encodeRecord } from '../../../coordinator/logs/log-records.ts';
import { openDisk } from '../../../coordinator/sequence/disk.ts';
import { parseStoredEvent } from '../../../coordinator/sequence/recovery.ts';
import { lockFolder } from '../../../shared/disk/folder-lock.ts';
import { type Ended, start } from '../cli/command.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';

const lockstep = (...words: string[]): Promise<Ended> => start(words, {}).ended;

const examination = z.object({
  running: z.boolean(),
  checks: z.array(
    z.object({
      check: z.string(),
      notes: z.array(z.string()),
      findings: z.array(
        z.object({
          what: z.string(),
          file: z.string().nullable(),
          byte: z.int().nullable(),
          seq: z.int().nullable(),
          remedy: z.string(),
        }),
      ),
    }),
  ),
});
type Examination = z.infer<typeof examination>;

async function examine(data: string): Promise<Examination> {
  const { stdout, stderr, exitCode: ended } = await lockstep('doctor', '--data', data, '-o', 'json');
  const found = examination.parse(JSON.parse(stdout));
  t.equal(ended, found.checks.some(({ findings }) => findings.length > 0) ? 1 : 0, stderr);
  return found;
}

/** By check; how fast the disk is at the moment is not the test's to judge. */
const findingsOf = ({ checks }: Examination) =>
  checks
    .filter(({ check }) => check !== 'disk')
    .flatMap(({ check, findings }) => findings.map((one) => ({ check, ...one })));

/** Data with two segments, a snapshot, blobs and a secret; a new copy of it for each caller. */
let furnished: Promise<string> | undefined;
const folders: string[] = [];
t.teardown(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function furnish(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-doctor-'));
  folders.push(folder);
  const coordinator = await TestCoordinator.start(t);
  const set = (name: string, value: unknown, secret: boolean) =>
    coordinator.ask('PUT', '/api/params', { cluster: 'default', name, value, secret });
  await set('word', 'hush', true);
  await set('long', 'x'.repeat(100_000), false);
  await coordinator.stop();
  const place = { dataFolder: coordinator.data, keyFile: `${coordinator.data}.key` };
  const disk = await openDisk(place, pino({ level: 'silent' }));
  await disk.journal.seal();
  await disk.close();
  const { exitCode, stderr } = await lockstep('snapshot', '--data', coordinator.data);
  t.equal(exitCode, 0, stderr);
  await coordinator.start();
  await set('more', 1, false);
  await coordinator.stop();
  execFileSync('cp', ['-a', coordinator.data, `${coordinator.data}.key`, folder]);
  return folder;
}

async function dataOf(): Promise<string> {
  furnished ??= furnish();
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-doctor-'));
  folders.push(folder);
  execFileSync('cp', ['-a', `${await furnished}/.`, folder]);
  return join(folder, 'data');
}

function flip(file: string, byte: number): void {
  const bytes = readFileSync(file);
  bytes[byte] = (bytes[byte] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** A sealed segment of the logs with three records, before the one that is there; and where its second begins. */
function writeLogs(data: string): { file: string; second: number } {
  const file = join(data, 'logs', '0000000000.log');
  const records = [0, 5, 10].map((offset) => {
    const content = Buffer.from('hello');
    const record = { attempt: 'r1/a/n1#1', stream: 'stdout', offset, at: 1, cycle: 1, bytes: 5 } as const;
    return Buffer.concat(encodeRecord(record, [content], 7));
  });
  const head = Buffer.from(encodeHead(1, 7));
  writeFileSync(file, Buffer.concat([head, ...records]), { mode: 0o600 });
  return { file, second: head.length + (records[0]?.length ?? 0) };
}

const only = (folder: string, pattern: RegExp): string => {
  const [name, ...more] = readdirSync(folder).filter((one) => pattern.test(one));
  if (name === undefined || more.length > 0) throw new Error(`not one ${pattern} in ${folder}`);
  return join(folder, name);
};

/** The blob of the long param. */
function longBlob(data: string): string {
  for (const prefix of readdirSync(join(data, 'blobs')))
    for (const name of readdirSync(join(data, 'blobs', prefix))) {
      const file = join(data, 'blobs', prefix, name);
      if (statSync(file).size > 100_000) return file;
    }
  throw new Error('no long blob');
}

const byteOfSeq = (file: string, seq: number): number => readFileSync(file).indexOf(`{"seq":${seq},`);

t.test('healthy data', async (t) => {
  const data = await dataOf();
  const healthy = await examine(data);
  t.same(findingsOf(healthy), []);
  t.match(Object.fromEntries(healthy.checks.map(({ check, notes }) => [check, notes.join()])), {
    journal: /events up to seq/,
    snapshots: '1 snapshots',
    blobs: /blobs/,
    secrets: '1 secrets',
    disk: /fsync/,
  });
  const text = await lockstep('doctor', '--data', data);
  t.match(text.stdout, /^ok {4}journal: /m);
});

t.test('a crash that tore the last batch is told, and is nothing to mend', async (t) => {
  const data = await dataOf();
  const newest = join(
    data,
    'journal',
    readdirSync(join(data, 'journal'))
      .filter((name) => name.endsWith('l'))
      .at(-1) ?? '',
  );
  appendFileSync(newest, '{"seq":99,"at"');
  writeLogs(data);
  appendFileSync(join(data, 'logs', '0000000001.log'), '{"attempt":"r1/a');
  const told = await examine(data);
  t.same(findingsOf(told), []);
  t.match(told.checks.find(({ check }) => check === 'logs')?.notes, [
    /the index of .*0000000000.log is missing or does not fit/,
    /torn the last flush in .*0000000001.log at byte \d+/,
    /^2 segments/,
  ]);
  t.match(told.checks.find(({ check }) => check === 'journal')?.notes, [
    /torn the last batch in .* at byte \d+/,
    /events/,
  ]);
});

t.test('a coordinator that runs is examined, too', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const found = await examine(coordinator.data);
  const { running, checks } = found;
  t.same(findingsOf(found), []);
  t.equal(running, true);
  t.match(checks.find(({ check }) => check === 'links')?.notes, ['0 agents are connected']);
});

t.test('each kind of damage is found where it is', async (t) => {
  const sealed = (data: string): string => join(data, 'journal', '00000000000000000001.jsonl');
  const cases: Record<string, { harm: (data: string) => object }> = {
    'a flipped bit in the journal': {
      harm: (data) => {
        const file = sealed(data);
        const byte = byteOfSeq(file, 3);
        flip(file, byte + 30);
        return { check: 'journal', file, byte, seq: 3, what: /wrong hash/, remedy: /doctor --cut 3/ };
      },
    },
    'a segment that is gone': {
      harm: (data) => {
        unlinkSync(sealed(data));
        return {
          check: 'snapshots',
          what: /the journal begins at seq \d+, and no snapshot has what was before/,
        };
      },
    },
    'a flipped bit in a snapshot': {
      harm: (data) => {
        const place = only(join(data, 'snapshots'), /^\d{20}$/);
        flip(join(place, 'shard-head.json'), 200);
        return { check: 'snapshots', file: place, what: /shard-head/, remedy: /remove this folder/ };
      },
    },
    'a flipped bit in a blob': {
      harm: (data) => {
        const file = longBlob(data);
        flip(file, 500);
        return { check: 'blobs', file, what: /another digest/ };
      },
    },
    'a blob that is gone': {
      harm: (data) => {
        const file = longBlob(data);
        unlinkSync(file);
        return { check: 'blobs', file, what: /named and is not there/ };
      },
    },
    'a flipped bit in the secrets': {
      harm: (data) => {
        const file = join(data, 'secrets.jsonl');
        const byte = readFileSync(file).indexOf('\n') + 1;
        flip(file, byte + 90);
        return { check: 'secrets', file, byte };
      },
    },
    'another key': {
      harm: (data) => {
        writeFileSync(`${data}.key`, Buffer.alloc(32, 7));
        return { check: 'secrets', file: `${data}.key`, what: /not the one that they were encrypted with/ };
      },
    },
    'a key that others may read': {
      harm: (data) => {
        chmodSync(`${data}.key`, 0o644);
        return { check: 'secrets', file: `${data}.key`, what: /others may read it/ };
      },
    },
    'secrets that are gone': {
      harm: (data) => {
        const file = join(data, 'secrets.jsonl');
        writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 1).concat('').join('\n'));
        return { check: 'secrets', file, what: /is named and is not there/ };
      },
    },
    'a flipped bit in a log': {
      harm: (data) => {
        const { file, second } = writeLogs(data);
        flip(file, second + 100);
        return { check: 'logs', file, byte: second, what: /bytes are not as they were/, remedy: /is lost/ };
      },
    },
    'a log without its head': {
      harm: (data) => {
        const { file } = writeLogs(data);
        flip(file, 3);
        return { check: 'logs', file, byte: 0, what: /its head cannot be read/ };
      },
    },
    'what an interrupted backup left': {
      harm: (data) => {
        const place = `${data}.backups/monday.unfinished-4711.1.00000000.${hostname()}`;
        mkdirSync(place, { recursive: true });
        return { check: 'backups', file: place, remedy: /the next `lockstep backup` into .* removes it/ };
      },
    },
    'what an interrupted backup on another machine left': {
      harm: (data) => {
        const place = `${data}.unfinished-4711.1.00000000.elsewhere`;
        mkdirSync(place);
        return { check: 'backups', file: place, remedy: /no backup is being written there .* rm -r/ };
      },
    },
    'files that others may read': {
      harm: (data) => {
        chmodSync(sealed(data), 0o640);
        return { check: 'modes', file: sealed(data), what: /mode 0640/, remedy: /chmod/ };
      },
    },
  };
  for (const [name, { harm }] of Object.entries(cases)) {
    const data = await dataOf();
    const expected = harm(data);
    const found = findingsOf(await examine(data));
    t.match(found, [expected], name);
  }
});

t.test('a snapshot that is not what the events come to', async (t) => {
  const data = await dataOf();
  const place = only(join(data, 'snapshots'), /^\d{20}$/);
  // Whole and of this journal, but of a program that forgot something.
  const { DurableAdapter } = await import('../../../shared/disk/durable-adapter.ts');
  const shard = new DurableAdapter<{ epoch: number }>(join(place, 'shard-head.json'), (document) =>
    z.looseObject({ epoch: z.int() }).parse(document),
  );
  const head = await shard.read();
  if (head === null) throw new Error('no head');
  await shard.write({ ...head, epoch: head.epoch + 1 });
  const manifest = new DurableAdapter(join(place, 'manifest.json'), (document) =>
    z.looseObject({ shards: z.array(z.object({ name: z.string(), checksum: z.string() })) }).parse(document),
  );
  const listed = await manifest.read();
  if (listed === null) throw new Error('no manifest');
  const shards = listed.shards.map((one) =>
    one.name === 'head' ? { ...one, checksum: shard.checksum ?? '' } : one,
  );
  await manifest.write({ ...listed, shards });
  t.match(findingsOf(await examine(data)), [
    { check: 'snapshots', what: /is not what the events come to \(shard head\)/ },
  ]);
});

t.test('a clock that is behind', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-doctor-'));
  folders.push(folder);
  const data = join(folder, 'data');
  const journal = await FileJournal.open<Event>({
    folder: join(data, 'journal'),
    lineageWhenNew: 'L',
    parse: parseStoredEvent,
  });
  const at = Date.now() + 3_600_000;
  await journal.append([{ seq: 1, at, type: 'ReignBegan', lineage: 'L', epoch: 1, version: '0' }]);
  await journal.close();
  t.match(findingsOf(await examine(data)), [{ check: 'clock', what: /is 3[56]\d\d s behind/ }]);
});

t.test('cutting at the damage gives up what comes after it, under another lineage', async (t) => {
  const data = await dataOf();
  const file = join(data, 'journal', '00000000000000000001.jsonl');
  flip(file, byteOfSeq(file, 4) + 30);
  const wrong = await lockstep('doctor', '--data', data, '--cut', '3');
  t.equal(wrong.exitCode, 2);
  t.match(wrong.stderr, /the first event that cannot be read is seq 4, not 3/);

  const { exitCode, stdout, stderr } = await lockstep('doctor', '--data', data, '--cut', '4', '-o', 'json');
  t.equal(exitCode, 0, stderr);
  const report = z.object({ seq: z.int(), movedAside: z.string() }).parse(JSON.parse(stdout));
  t.equal(report.seq, 3);
  t.same(readdirSync(report.movedAside), ['journal', 'snapshots']);
  t.equal(
    readdirSync(join(report.movedAside, 'journal')).length,
    2,
    'the damaged segment and the one after it',
  );
  t.same(findingsOf(await examine(data)), []);
  const journal = await FileJournal.open<Event>({
    folder: join(data, 'journal'),
    lineageWhenNew: '',
    parse: parseStoredEvent,
  });
  t.equal(journal.last.seq, 3);
  t.not(JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '').segment.lineage, journal.lineage);
  await journal.close();
  const again = await lockstep('doctor', '--data', data, '--cut', '4');
  t.match(again.stderr, /is not damaged: there is nothing to cut/);
});

t.test('damage in a compressed part costs its history, and no state', async (t) => {
  const data = await dataOf();
  const journal = join(data, 'journal');
  // A second part, and a snapshot after it.
  const place = { dataFolder: data, keyFile: `${data}.key` };
  const disk = await openDisk(place, pino({ level: 'silent' }));
  await disk.journal.seal();
  await disk.close();
  const snapshot = await lockstep('snapshot', '--data', data);
  t.equal(snapshot.exitCode, 0, snapshot.stderr);
  const before = readdirSync(join(data, 'snapshots')).sort().at(-1);
  const [archived] = await archiveSegments(journal, Number(before));
  if (archived === undefined) throw new Error('nothing was archived');
  t.same(findingsOf(await examine(data)), []);
  flip(archived.file, 40);
  const [found] = findingsOf(await examine(data));
  const seq = found?.seq ?? 0;
  t.match(found, {
    check: 'journal',
    file: archived.file,
    remedy: new RegExp(`or go on without the history up to seq ${archived.last}, .*doctor --forget ${seq}`),
  });
  const cut = await lockstep('doctor', '--data', data, '--cut', String(seq));
  t.match(cut.stderr, `go on without that history: \`lockstep doctor --forget ${seq}\``);

  const { exitCode, stdout, stderr } = await lockstep(
    'doctor',
    '--data',
    data,
    '--forget',
    String(seq),
    '-o',
    'json',
  );
  t.equal(exitCode, 0, stderr);
  const report = z.object({ from: z.int(), movedAside: z.string() }).parse(JSON.parse(stdout));
  t.equal(report.from, archived.last + 1);
  t.same(readdirSync(join(report.movedAside, 'journal', 'archive')).length, 1);
  t.same(findingsOf(await examine(data)), []);
  const again = await lockstep('doctor', '--data', data, '--forget', String(seq));
  t.match(again.stderr, /is not damaged/);
});

t.test('words that lead nowhere', async (t) => {
  const nowhere = await lockstep('doctor', '--data', '/nonexistent/data');
  t.equal(nowhere.exitCode, 2);
  t.match(nowhere.stderr, /does not exist: name a data folder/);
  const help = await lockstep('doctor', '--help');
  t.match(help.stdout, /Examples:\n {2}lockstep doctor/);
});

t.test('a folder that somebody has who is no coordinator', async (t) => {
  const data = await dataOf();
  const lock = await lockFolder(data);
  t.teardown(() => lock.release());
  const { exitCode, stderr } = await lockstep('doctor', '--data', data);
  t.equal(exitCode, 2);
  t.match(
    stderr,
    new RegExp(`process ${process.pid} uses it.*was asked to leave the files as they are: cannot reach`, 's'),
  );
});
