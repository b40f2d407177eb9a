/**
 * Nothing leaves before the fsync that covers it: the real core on a journal whose fsyncs the test lets through
 * one at a time, or makes fail.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Command, Effect } from '../../coordinator/core/commands.ts';
import { emptyState, evolve } from '../../coordinator/core/engine.ts';
import type { Event } from '../../coordinator/core/events.ts';
import type { State } from '../../coordinator/core/state.ts';
import { MemoryJournal } from '../../coordinator/journal/memory-journal.ts';
import { Contents } from '../../coordinator/sequence/contents.ts';
import { parseStoredEvent } from '../../coordinator/sequence/recovery.ts';
import { Sequencer } from '../../coordinator/sequencer.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { helloOf } from './small-agent.ts';

const diskFull = new LockstepError('disk-full', 'no space is left');

/** A journal in memory, with a gate before each append, and everything that the sequencer let out. */
class Bench {
  readonly journal = new MemoryJournal<Event>({ lineage: 'l', parse: parseStoredEvent });
  readonly state = emptyState();
  readonly delivered: Effect[] = [];
  /** What happened, in order: `append 1-3`, `settled`, `flush`, … */
  readonly happened: string[] = [];
  readonly fatal: string[] = [];
  readonly sequencer: Sequencer;
  readonly contents: Contents;
  /** Called before each append; may wait, or throw what the disk says. */
  gate: (events: readonly Event[]) => Promise<void> = async () => {};

  constructor() {
    const { state, journal } = this;
    const blobs = new Map<string, string>();
    const secrets = new Map<string, string>();
    this.contents = new Contents({
      text: (digest) => blobs.get(digest),
      secret: (name) => secrets.get(name),
      secretRoom: () => ({ count: 1_000, bytes: 1_000_000 }),
      logTail: () => '',
    });
    this.sequencer = new Sequencer({
      state,
      contents: this.contents,
      clock: { now: () => 1_000 },
      store: {
        append: async (events) => {
          await this.gate(events);
          this.happened.push(`append ${events[0]?.seq}-${events.at(-1)?.seq}`);
          await journal.append(events);
        },
        putSecrets: async (entries) => {
          for (const { reference, value } of entries) secrets.set(reference, value);
          this.happened.push(`secrets ${entries.length}`);
        },
        putBlob: async (digest, text) => {
          blobs.set(digest, text);
          this.contents.releaseText(digest);
          this.happened.push('blob');
        },
      },
      edge: {
        deliver: (effects) => void this.delivered.push(...effects),
        flush: () => {},
        roomAgain: () => void this.happened.push('room again'),
      },
      recoverTo: async (seq) => {
        const copy = emptyState();
        for await (const page of journal.read({ from: 1 }))
          for (const event of page) if (event.seq <= seq) evolve(copy, event);
        return copy;
      },
      onFatal: (what) => void this.fatal.push(what),
      onDiskFull: (error) => void this.happened.push(error === null ? 'space again' : 'disk full'),
    });
    this.sequencer.start();
  }

  /** Submits, and notes when the answer came. */
  submit(name: string, command: Command): Promise<string> {
    return this.sequencer.submit(command).then(
      () => {
        this.happened.push(`settled ${name}`);
        return 'ok';
      },
      (error: LockstepError) => {
        this.happened.push(`refused ${name}`);
        return error.code;
      },
    );
  }

  /** A gate that lets nothing through until it is opened. */
  shut(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gate = () => promise;
    return () => {
      this.gate = async () => {};
      resolve();
    };
  }
}

const setParam = (name: string, value: unknown = 1, secret = false): Command => ({
  type: 'SetParam',
  scope: { cluster: 'c' },
  name,
  value,
  secret,
  by: 'operator:x',
});

const paramsIn = (state: State): string[] => [...(state.clusterParams.get('c')?.keys() ?? [])];
const soon = (): Promise<void> => delay(20);

t.test('replies, effects and reads wait for the fsync that covers them', async (t) => {
  const bench = new Bench();
  await bench.submit('reign', { type: 'BeginReign', lineage: 'l', epoch: 1, version: 'test' });
  const open = bench.shut();
  const first = bench.submit('a', setParam('a'));
  const agent = bench.submit('agent', { type: 'ConnectAgent', hello: helloOf('n1'), token: 't' });
  await soon();
  const read = bench.sequencer.read(paramsIn).then((params) => {
    bench.happened.push(`read ${params}`);
    return params;
  });
  const second = bench.submit('b', setParam('b'));
  await soon();
  t.same(paramsIn(bench.state), ['a', 'b'], 'decided at once');
  t.same(bench.delivered, [], 'and nothing has left');
  t.equal(bench.sequencer.durableSeq, 1);
  open();
  t.same(await Promise.all([first, agent, read, second]), ['ok', 'ok', ['a'], 'ok']);
  t.match(bench.delivered, [{ kind: 'welcome', node: 'n1' }]);
  t.same(bench.happened, [
    'append 1-1',
    'settled reign',
    'append 2-4',
    'settled a',
    'settled agent',
    'read a',
    'append 5-5',
    'settled b',
  ]);
  await bench.sequencer.close();
});

t.test('what events name is stored before them, and can be looked up at once', async (t) => {
  const bench = new Bench();
  const open = bench.shut();
  const text = JSON.stringify('x'.repeat(5_000));
  const done = bench.submit('both', setParam('long', 'x'.repeat(5_000)));
  const secret = bench.submit('secret', setParam('key', 'hush', true));
  await soon();
  t.equal(bench.contents.text(bench.contents.digestOf(text)), text, 'before it is on disk');
  t.match(bench.happened, ['secrets 1', 'blob']);
  open();
  t.same(await Promise.all([done, secret]), ['ok', 'ok']);
  t.match(bench.happened.at(-3), /^append/, 'and the events after both');
  const facts = { text: '{"a":1}', digest: bench.contents.digestOf('{"a":1}') };
  bench.sequencer.post({ type: 'ReportFacts', node: 'nobody', digest: facts.digest }, null, facts);
  t.same(bench.contents.facts(facts.digest), { a: 1 }, 'so can what a command brings along');
  await bench.sequencer.close();
});

t.test('a rejection is told in its turn', async (t) => {
  const bench = new Bench();
  const open = bench.shut();
  const made = bench.submit('made', setParam('a'));
  const taken = bench.submit('taken', { type: 'UnsetParam', scope: { cluster: 'c' }, name: 'a', by: 'x' });
  const missing = bench.submit('missing', {
    type: 'UnsetParam',
    scope: { cluster: 'c' },
    name: 'a',
    by: 'x',
  });
  await soon();
  t.same(bench.happened, [], 'it could tell of what is not durable');
  open();
  t.same(await Promise.all([made, taken, missing]), ['ok', 'ok', 'not-found']);
  await bench.sequencer.close();
});

t.test('a full disk', async (t) => {
  const bench = new Bench();
  await bench.submit('before', setParam('before'));
  let full = true;
  let asked = 0;
  bench.gate = async () => {
    asked += 1;
    if (full) throw diskFull;
  };
  const decided = bench.submit('decided', setParam('decided'));
  const agent = bench.submit('agent', { type: 'ConnectAgent', hello: helloOf('n1'), token: 't' });
  t.equal(await decided, 'disk-full', 'who waits for what was decided is told that it is not durable');
  t.equal(bench.sequencer.stalled?.code, 'disk-full');
  t.equal(await bench.submit('late', setParam('late')), 'disk-full', 'operators are refused');
  t.same(await bench.sequencer.read(paramsIn), ['before'], 'reads see what is on disk');
  t.equal(bench.sequencer.post({ type: 'PullJobs', node: 'n1', credit: 1 }), true, 'reports of agents wait');
  await delay(limits.diskRetryMs + 200);
  t.ok(asked >= 2, 'it is tried again');
  t.same(bench.delivered, [], 'and nothing has left');
  full = false;
  t.equal(await agent, 'ok', 'an agent is welcomed when there is space');
  t.same(await bench.sequencer.read(paramsIn), ['before', 'decided'], 'and what was decided took effect');
  t.equal(bench.sequencer.stalled, null);
  t.equal(await bench.submit('after', setParam('after')), 'ok');
  t.equal(bench.state.nodes.get('n1')?.credit, 1, 'the reports were taken');
  t.same(
    bench.happened.filter((what) => /disk|space/.test(what)),
    ['disk full', 'space again'],
  );
  t.same(bench.fatal, []);
  await bench.sequencer.close();
});

t.test('closing while the disk is full gives up what was never told', async (t) => {
  const bench = new Bench();
  bench.gate = async () => {
    throw diskFull;
  };
  t.equal(await bench.submit('a', setParam('a')), 'disk-full');
  await bench.sequencer.close();
  t.equal(bench.journal.last.seq, 0);
  t.equal(await bench.submit('b', setParam('b')), 'unreachable');
});

t.test('any other failure of the disk ends everything', async (t) => {
  const bench = new Bench();
  bench.gate = async () => {
    throw new Error('EIO');
  };
  const answers: string[] = [];
  void bench.submit('a', setParam('a')).then((answer) => answers.push(answer));
  await soon();
  t.same(bench.fatal, ['storage']);
  t.same(answers, [], 'and tells nobody anything');
  t.same(bench.delivered, []);
});

t.test('a batch that is too large is written in parts, decision by decision', async (t) => {
  const bench = new Bench();
  const open = bench.shut();
  const first = bench.submit('a', setParam('a'));
  await soon();
  const rest = ['b', 'c', 'd', 'e', 'f'].map((name) => bench.submit(name, setParam(name)));
  await soon();
  open();
  bench.gate = async (events) => {
    if (events.length > 2) throw new LockstepError('too-large', 'more than two');
  };
  t.same(await Promise.all([first, ...rest]), Array(6).fill('ok'));
  t.same(
    bench.happened.filter((what) => what.startsWith('append')),
    ['append 1-1', 'append 2-3', 'append 4-5', 'append 6-6'],
  );
  await bench.sequencer.close();
});

t.test('the queue has an end', async (t) => {
  const bench = new Bench();
  for (let queued = 0; queued < limits.commandsQueuedHighWater; queued += 1)
    bench.sequencer.post({ type: 'PullJobs', node: 'n1', credit: 1 });
  t.equal(bench.sequencer.congested, true, 'at high water nobody reads on');
  for (let queued = bench.sequencer.queued; queued < limits.commandsQueuedMax; queued += 1)
    bench.sequencer.post({ type: 'PullJobs', node: 'n1', credit: 1 });
  t.equal(bench.sequencer.post({ type: 'PullJobs', node: 'n1', credit: 1 }), false);
  t.equal(await bench.submit('late', setParam('late')), 'too-many');
  const gone: Command = { type: 'DisconnectAgent', node: 'n1', incarnation: 'i', counter: 1, reason: 'x' };
  t.equal(bench.sequencer.post(gone), true, 'that an agent went away is always taken');
  for (let wait = 0; wait < 200 && bench.sequencer.queued > 0; wait += 1) await soon();
  t.equal(bench.sequencer.congested, false);
  t.ok(bench.happened.includes('room again'));
  await bench.sequencer.close();
});
