/** What is left of an execution when it ends, however its processes behave; real processes throughout. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { adoptExecution, startExecution } from '../../../agent/run/execution.ts';
import { readClaim } from '../../../agent/run/supervisor.ts';
import { isAlive, Place } from './place.ts';

const runAway = `
  ( sleep 60 & echo $! > "$STATE/child" )
  setsid sh -c 'echo $$ > "$STATE/session"; exec sleep 60' &
  ( ( setsid sh -c 'echo $$ > "$STATE/daemon"; exec sleep 60' >/dev/null 2>&1 & ) & )
  env -i /bin/sh -c 'echo $$ > "$1"; exec sleep 60' x "$STATE/bare" &
  while ! [ -s "$STATE/session" ] || ! [ -s "$STATE/daemon" ] || ! [ -s "$STATE/bare" ]; do sleep 0.02; done
`;
const names = ['child', 'session', 'daemon', 'bare'];
const pidsOf = (place: Place): Promise<number[]> => Promise.all(names.map((name) => place.pid(name)));
const endAll = (pids: readonly number[]): void => {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
};

t.test('what a job leaves behind is ended with it', async (t) => {
  const place = new Place(t.testdir({}));
  const end = await place.start(`${runAway} exit 3`).ended;
  t.match(end, { kind: 'exited', status: 3, stopped: false });
  t.same((await pidsOf(place)).map(isAlive), [false, false, false, false]);
});

t.test('also when the job took longer than pids take to come round', async (t) => {
  const place = new Place(t.testdir({}));
  await place.start(`${runAway} sleep 1.2; exit 0`).ended;
  t.same((await pidsOf(place)).map(isAlive), [false, false, false, false]);
});

t.test('a daemon may stay when the task says so, but not when the job is ended', async (t) => {
  const staying = new Place(t.testdir({}));
  t.match(await staying.start(runAway, { leaves: 'daemon' }).ended, { kind: 'exited', status: 0 });
  const pids = await pidsOf(staying);
  t.same(pids.map(isAlive), [true, true, true, true]);
  endAll(pids);

  const ended = new Place(path.join(t.testdir({ other: {} }), 'other'));
  const execution = ended.start(`${runAway} sleep 60`, { leaves: 'daemon' });
  const others = await pidsOf(ended);
  execution.stop();
  t.match(await execution.ended, { kind: 'exited', status: 143, stopped: true });
  t.same(others.map(isAlive), [false, false, false, false]);
});

t.test('the processes of another attempt are left alone', async (t) => {
  const folder = t.testdir({ a: {}, b: {}, c: {} });
  const neighbours = [
    new Place(path.join(folder, 'a'), 'r1/s/n1#1'),
    new Place(path.join(folder, 'b'), 'r1/s/n1#11'),
  ];
  const kept = await Promise.all(
    neighbours.map(async (place) => {
      await place.start(runAway, { leaves: 'daemon' }).ended;
      return pidsOf(place);
    }),
  );
  const mine = new Place(path.join(folder, 'c'), 'r1/s/n1#1');
  await mine.start(`${runAway} sleep 1.2`).ended;
  t.same((await pidsOf(mine)).map(isAlive), [false, false, false, false]);
  t.same(
    kept.flat().map(isAlive),
    Array.from({ length: 8 }, () => true),
    'same id elsewhere, longer id here',
  );
  endAll(kept.flat());
});

t.test('TERM first, KILL for what ignores it, CONT for what is stopped', async (t) => {
  const deaf = new Place(t.testdir({}));
  const execution = deaf.start('trap "" TERM; echo $$ > "$STATE/main"; while :; do sleep 0.05; done');
  await deaf.pid('main');
  execution.stop();
  t.match(await execution.ended, { kind: 'exited', status: 137, stopped: true });

  const polite = new Place(path.join(t.testdir({ polite: {} }), 'polite'));
  const tidy = polite.start(
    'trap "echo tidied; exit 9" TERM; echo $$ > "$STATE/main"; while :; do sleep 0.05; done',
  );
  await polite.pid('main');
  tidy.stop();
  t.match(await tidy.ended, { kind: 'exited', status: 9, stopped: true });
  t.equal(polite.read('stdout'), 'tidied\n');

  const stopped = new Place(path.join(t.testdir({ stopped: {} }), 'stopped'));
  const frozen = stopped.start('echo $$ > "$STATE/main"; kill -STOP $$; sleep 60', { killGraceMs: 10_000 });
  await stopped.pid('main');
  await sleep(50);
  frozen.stop();
  t.match(await frozen.ended, { kind: 'exited', status: 143 });
});

t.test('stopped at any moment, also before it has begun', async (t) => {
  for (let round = 0; round < 12; round += 1) {
    const place = new Place(path.join(t.testdir({ [`r${round}`]: {} }), `r${round}`));
    const execution = place.start('echo $$ > "$STATE/main"; sleep 60');
    await sleep(round * 0.7);
    execution.stop();
    const end = await execution.ended;
    t.ok(end.kind === 'not-executed' || (end.kind === 'exited' && end.stopped), `${round}: ${end.kind}`);
    const claim = readClaim(path.join(place.folder, '1-run'));
    if (claim.kind === 'supervised' && claim.main !== undefined) t.notOk(isAlive(claim.main));
  }
});

t.test('what runs away while its job ends is ended too', async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const place = new Place(path.join(t.testdir({ [`r${round}`]: {} }), `r${round}`));
    await place.start('setsid sleep 60 >/dev/null 2>&1 & echo $! >"$STATE/left"').ended;
    t.notOk(isAlive(Number(place.read('left'))), `${round}`);
  }
});

t.test('a job that closes its output goes on', async (t) => {
  const place = new Place(t.testdir({}));
  const end = await place.start('exec >&- 2>&-; sleep 0.1; echo done > "$STATE/done"; exit 4').ended;
  t.match(end, { kind: 'exited', status: 4 });
  t.equal(place.read('done'), 'done\n');
});

t.test('what stands in place of the output file is not waited for', async (t) => {
  const place = new Place(t.testdir({}));
  const fifo = await place.start('rm -f "$LOCKSTEP_OUTPUT"; mkfifo "$LOCKSTEP_OUTPUT"').ended;
  t.match(fifo, { kind: 'exited', status: 0 });
  t.equal(fifo.kind === 'exited' && fifo.output.length, 0);
});

t.test('a missing interpreter or shell is a clear end', async (t) => {
  const place = new Place(t.testdir({}));
  t.match(await place.start('x', { command: ['/no/such/interpreter', 'x'] }).ended, {
    kind: 'exited',
    status: 127,
  });
  t.match(place.read('stderr'), /no\/such\/interpreter/);
  const other = new Place(path.join(t.testdir({ other: {} }), 'other'));
  t.match(await other.start('x', {}, ['/no/such/sh']).ended, {
    kind: 'unstartable',
    reason: /cannot start \/no\/such\/sh/,
  });
  const huge = { ...other.order('x').environment, HUGE: 'x'.repeat(200_000) };
  t.match(await other.start('x', { environment: huge }).ended, { kind: 'unstartable', reason: /E2BIG/ });
});

t.test('an execution is taken up by another process', async (t) => {
  const folder = t.testdir({ running: {}, done: {}, dead: {} });
  const running = new Place(path.join(folder, 'running'));
  const order = running.order(
    'echo $$ > "$STATE/main"; while ! [ -e "$STATE/go" ]; do sleep 0.02; done; exit 5',
  );
  const first = startExecution(order);
  await running.pid('main');
  const adopted = adoptExecution(order);
  writeFileSync(path.join(running.folder, 'go'), '');
  t.match(await adopted?.ended, { kind: 'exited', status: 5, stopped: false });
  await first.ended;

  const done = new Place(path.join(folder, 'done'));
  await done.start('echo k=v > "$LOCKSTEP_OUTPUT"; exit 6').ended;
  const end = await adoptExecution(done.order('x'))?.ended;
  t.match(end, { kind: 'exited', status: 6 });
  t.equal(end?.kind === 'exited' && Buffer.from(end.output).toString(), 'k=v\n');

  const dead = new Place(path.join(folder, 'dead'));
  const lost = dead.order(`echo $$ > "$STATE/main"; ${runAway} sleep 60`);
  const watched = startExecution(lost);
  const pids = await pidsOf(dead);
  const claim = readClaim(lost.folder);
  if (claim.kind === 'supervised' && claim.supervisor !== undefined)
    process.kill(claim.supervisor, 'SIGKILL');
  t.same(await adoptExecution(lost)?.ended, { kind: 'lost' });
  await watched.ended;
  t.same(pids.map(isAlive), [false, false, false, false]);
});

t.test(
  'a claim whose pid now belongs to somebody else is not mistaken for a living supervisor',
  async (t) => {
    const place = new Place(t.testdir({}));
    const order = place.order('x');
    writeFileSync(path.join(order.folder, 'claim'), `supervisor ${process.pid}\nmain ${process.ppid}\n`);
    t.same(await adoptExecution(order)?.ended, { kind: 'lost' });
    t.ok(readFileSync(`/proc/${process.ppid}/stat`), 'and nobody else was ended');
  },
);
