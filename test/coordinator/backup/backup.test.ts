/** Backups of a real coordinator at work, and what a restore refuses and leaves untouched. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import t from 'tap';
import * as z from 'zod';
import { unfinishedPlace } from '../../../coordinator/backup/leftovers.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import * as resources from '../../../coordinator/http/resources.ts';
import { JournalReader } from '../../../coordinator/journal/journal-reader.ts';
import { parseStoredEvent } from '../../../coordinator/sequence/recovery.ts';
import { limits } from '../../../shared/limits.ts';
import { type Ended, start } from '../cli/command.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { CoordinatorProcess } from '../coordinator-process.ts';
import { resultOf, SmallAgent } from '../small-agent.ts';

const lockstep = (...words: string[]): Promise<Ended> => start(words, {}).ended;
const backupReport = z.object({ seq: z.int(), lineage: z.string(), files: z.int(), withKey: z.boolean() });
const restoreReport = z.object({
  seq: z.int(),
  lineage: z.string(),
  continues: z.string(),
  hasKey: z.boolean(),
});

function temporary(t: { teardown(work: () => unknown): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-backup-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const steps = Array.from(
  { length: 15 },
  (_, index) => `  - { id: s${index}, on: all, run: 'true', rerun: idempotent }`,
);
const pipeline = {
  file: 'test.yaml',
  text: [
    'kind: pipeline',
    'name: test',
    `params: { long: { type: string, default: ${'x'.repeat(2_000)} }, word: { type: string, secret: true } }`,
    "roles: { all: { select: 'true' } }",
    'steps:',
    ...steps,
    '',
  ].join('\n'),
  params: { word: 'hush' },
};

/** Does what it is granted until its connection ends. */
async function workAs(coordinator: CoordinatorProcess, token: string, name: string): Promise<void> {
  const agent = await SmallAgent.join(coordinator.url, token, name);
  agent.say({ type: 'pull', credit: 1 });
  for (let number = 1; number <= steps.length; number += 1) {
    const { attempt } = await agent.grant();
    agent.say(
      { type: 'started', attempt, at: Date.now() },
      { type: 'result', number, result: resultOf(attempt) },
      { type: 'pull', credit: 1 },
    );
  }
  await agent.hear('ack-results');
}

async function eventsIn(data: string): Promise<Event[]> {
  const journal = await JournalReader.open<Event>(join(data, 'journal'), parseStoredEvent);
  const events: Event[] = [];
  for await (const page of journal?.read({ from: 1 }) ?? []) events.push(...page);
  return events;
}

t.test('backups that are taken while 20 nodes work are prefixes of what happened', async (t) => {
  const coordinator = await CoordinatorProcess.start(t);
  const folder = temporary(t);
  const { json } = await coordinator.ask('POST', '/api/tokens', { kind: 'join' });
  const { token } = resources.tokenCreated.parse(json);
  const names = Array.from({ length: 20 }, (_, index) => `n${index + 1}`);
  const agents = names.map((name) => workAs(coordinator, token, name));
  for (;;) {
    const { json: nodes } = await coordinator.ask('GET', '/api/nodes');
    if (resources.nodePage.parse(nodes).items.length === names.length) break;
  }
  t.equal((await coordinator.ask('POST', '/api/runs', pipeline)).status, 201);
  let working = true;
  const done = Promise.all(agents).finally(() => {
    working = false;
  });
  const seqs: number[] = [];
  while (working || seqs.length < 2) {
    const to = join(folder, `b${seqs.length}`);
    const { stdout, stderr, exitCode } = await lockstep(
      'backup',
      '--data',
      coordinator.data,
      '--to',
      to,
      '-o',
      'json',
    );
    t.equal(exitCode, 0, stderr);
    seqs.push(backupReport.parse(JSON.parse(stdout)).seq);
  }
  await done;
  await coordinator.end('SIGTERM');
  const happened = await eventsIn(coordinator.data);
  for (const [index, seq] of seqs.entries())
    t.same(
      await eventsIn(join(folder, `b${index}`, 'data')),
      happened.slice(0, seq),
      `the first ${seq} events`,
    );

  const data = join(folder, 'restored');
  const key = join(coordinator.folder, 'key');
  const first = join(folder, 'b0');
  const restored = await lockstep('restore', first, '--data', data, '--key', key, '-o', 'json');
  t.equal(restored.exitCode, 0, restored.stderr);
  const { lineage, continues, hasKey } = restoreReport.parse(JSON.parse(restored.stdout));
  t.not(lineage, continues);
  t.equal(hasKey, true);
  const { stdout } = await lockstep('doctor', '--data', data, '--key', key);
  t.notMatch(stdout, /mend {2}(journal|snapshots|blobs|secrets)/, 'all that the events name is there');
});

t.test('a restore verifies everything before it touches anything', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  await coordinator.ask('PUT', '/api/params', {
    cluster: 'default',
    name: 'long',
    value: 'x'.repeat(3 * limits.backupBlockBytes),
  });
  await coordinator.stop();
  const folder = temporary(t);
  const backup = join(folder, 'b');
  const taken = await lockstep('backup', '--data', coordinator.data, '--to', backup, '--with-key');
  t.equal(taken.exitCode, 0);
  t.match(taken.stderr, /the key of the secrets is in it/);
  t.notOk(existsSync(join(backup, 'data', 'operator.json')), 'what lets operators in stays where it is');
  t.equal(statSync(join(backup, 'key')).mode & 0o777, 0o600);
  const restore = (...more: string[]) => lockstep('restore', backup, '--data', join(folder, 'data'), ...more);

  const blobs = join(backup, 'data', 'blobs');
  const damage = (file: string, byte: number): (() => void) => {
    const bytes = readFileSync(file);
    const flipped = Buffer.from(bytes);
    flipped[byte] = (flipped[byte] ?? 0) ^ 1;
    writeFileSync(file, flipped);
    return () => writeFileSync(file, bytes);
  };
  const long = readdirSync(blobs)
    .flatMap((prefix) => readdirSync(join(blobs, prefix)).map((name) => join(blobs, prefix, name)))
    .find((file) => statSync(file).size > 2 * limits.backupBlockBytes);
  const segment = join(backup, 'data', 'journal', '00000000000000000001.jsonl');
  for (const [file, byte, told] of [
    [long ?? '', limits.backupBlockBytes + 5, limits.backupBlockBytes],
    [segment, 300, 0],
    [join(backup, 'data', 'secrets.jsonl'), 50, 0],
    [join(backup, 'key'), 3, 0],
  ] as const) {
    const mend = damage(file, byte);
    const { exitCode, stderr } = await restore();
    t.equal(exitCode, 3);
    t.match(stderr, `${file} is damaged at byte ${told}: `);
    mend();
  }
  const mend = damage(join(backup, 'manifest.json'), 200);
  t.match((await restore()).stderr, /manifest\.json: it is damaged/);
  mend();
  t.same(readdirSync(folder), ['b'], 'nothing was made');

  writeFileSync(join(folder, 'data.key'), Buffer.alloc(32, 9), { mode: 0o600 });
  t.match((await restore()).stderr, /the key in .* is not the one that they were encrypted with/);
  rmSync(join(folder, 'data.key'));
  t.equal((await restore()).exitCode, 0);
  t.same(readFileSync(join(folder, 'data.key')), readFileSync(join(backup, 'key')), 'the key came along');

  const again = await restore();
  t.equal(again.exitCode, 2);
  t.match(again.stderr, /is not empty: name another folder .* or move this one aside with --replace/);
  t.equal((await restore('--replace')).exitCode, 0);
  t.equal(
    readdirSync(folder).filter((name) => name.startsWith('data.before-')).length,
    1,
    'nothing is deleted',
  );
  await coordinator.start();
  const running = await lockstep('restore', backup, '--data', coordinator.data, '--replace');
  t.match(running.stderr, /process \d+ uses it; stop that one/);
  t.match(
    (await lockstep('restore', folder, '--data', join(folder, 'x'))).stderr,
    /is not a backup, or was not finished/,
  );
  t.match((await lockstep('backup', '--data', coordinator.data, '--to', backup)).stderr, /is not empty/);
  t.match((await lockstep('backup', '--help')).stdout, /Examples:\n {2}lockstep backup/);
});

t.test(
  'a restored history is another one for those who followed it, and its snapshots are its own',
  async (t) => {
    const coordinator = await TestCoordinator.start(t);
    const first = await coordinator.get(resources.health, '/health');
    await coordinator.stop();
    const folder = temporary(t);
    await lockstep('backup', '--data', coordinator.data, '--to', join(folder, 'b'));
    t.equal(
      (await lockstep('restore', join(folder, 'b'), '--data', coordinator.data, '--replace')).exitCode,
      0,
    );
    await coordinator.start();
    const second = await coordinator.get(resources.health, '/health');
    t.not(second.lineage, first.lineage);
    t.equal(second.epoch, first.epoch + 1);
    t.equal(
      (await coordinator.refused('GET', `/api/events?since=${first.lineage}:${first.seq}`)).code,
      'cursor-expired',
    );
    const events = (await coordinator.ask('GET', '/api/events')).text.trim().split('\n');
    t.match(JSON.parse(events[first.seq] ?? ''), {
      type: 'ReignBegan',
      continues: { lineage: first.lineage, seq: first.seq },
    });
    await coordinator.stop();
    t.equal(
      (await lockstep('snapshot', '--data', coordinator.data)).exitCode,
      0,
      'across the change of lineage',
    );
    await coordinator.start();
    t.equal((await coordinator.get(resources.health, '/health')).lineage, second.lineage);
  },
);

t.test(
  'what an interrupted backup has left is removed by the next one, but nothing that is being written',
  async (t) => {
    const coordinator = await TestCoordinator.start(t);
    await coordinator.stop();
    const folder = temporary(t);
    const left = join(folder, `monday.unfinished-4711.1.00000000.${hostname()}`);
    const written = await unfinishedPlace(join(folder, 'tuesday'));
    const elsewhere = join(folder, 'tuesday.unfinished-4711.1.00000000.elsewhere');
    for (const place of [left, written, elsewhere]) mkdirSync(join(place, 'data'), { recursive: true });
    const to = join(folder, 'wednesday');
    const { stderr, exitCode } = await lockstep('backup', '--data', coordinator.data, '--to', to);
    t.equal(exitCode, 0, stderr);
    t.match(stderr, `removed ${left}, which an interrupted backup had left`);
    t.same(readdirSync(folder).sort(), [written, elsewhere, to].map((place) => basename(place)).sort());
  },
);

t.test('a pause of upkeep ends when it is told to, and is then gone', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const { id } = await coordinator.post(resources.upkeepPause, '/api/upkeep/pauses', {});
  t.equal((await coordinator.ask('PUT', `/api/upkeep/pauses/${id}`)).status, 204);
  t.equal((await coordinator.ask('DELETE', `/api/upkeep/pauses/${id}`)).status, 204);
  t.match(await coordinator.refused('PUT', `/api/upkeep/pauses/${id}`), {
    code: 'not-found',
    detail: /may not fit together/,
  });
  t.equal((await coordinator.refused('DELETE', `/api/upkeep/pauses/${id}`)).code, 'not-found');
  for (let count = 0; count < limits.upkeepPausesMax; count += 1)
    await coordinator.post(resources.upkeepPause, '/api/upkeep/pauses', {});
  t.equal((await coordinator.refused('POST', '/api/upkeep/pauses', {})).code, 'too-many');
});

t.test('what a job printed after the backup is marked as missing, and the rest goes on', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const first = await SmallAgent.join(coordinator.url, token, 'n1');
  first.say({ type: 'pull', credit: 1 });
  const text =
    "kind: pipeline\nname: p\nroles: { all: { select: 'true' } }\nsteps: [{ id: a, on: all, run: x }]\n";
  t.equal((await coordinator.ask('POST', '/api/runs', { file: 'p.yaml', text })).status, 201);
  const { attempt } = await first.grant();
  const folder = temporary(t);
  t.equal((await lockstep('backup', '--data', coordinator.data, '--to', join(folder, 'b'))).exitCode, 0);
  const log = { type: 'log', attempt, stream: 'stdout' } as const;
  first.say({ ...log, offset: 0, base64: Buffer.from('lost').toString('base64') });
  t.equal((await first.hear('ack-log')).upTo, 4);
  await coordinator.stop();
  t.equal(
    (await lockstep('restore', join(folder, 'b'), '--data', coordinator.data, '--replace')).exitCode,
    0,
  );
  await coordinator.start();
  const held = [{ attempt, state: 'running' as const }];
  const again = await SmallAgent.join(coordinator.url, token, 'n1', { counter: 2, held });
  again.say({ ...log, offset: 4, base64: Buffer.from('kept').toString('base64') });
  t.equal((await again.hear('ack-log')).upTo, 8);
  const read = await coordinator.ask('GET', '/api/runs/r1/logs?format=ndjson');
  t.match(
    read.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [
      { offset: 0, gapBytes: 4 },
      { offset: 4, text: 'kept' },
    ],
  );
  again.end();
});
