/**
 * What every journal must do. A new implementation's test is a call of `journalContract` with a way to open
 * one; what only files can suffer is tested beside the file journal.
 */
import type { Journal, StoredEvent } from '../../coordinator/journal/port.ts';
import { follow } from '../../coordinator/journal/port.ts';
import { limits } from '../../shared/limits.ts';

export type NoteEvent = {
  readonly seq: number;
  readonly at: number;
  readonly type: 'Noted';
  readonly note: string;
};

/** The part of tap that the suite uses. */
type Tap = typeof import('tap').default;

export type Opened = {
  readonly journal: Journal<NoteEvent>;
  /** Deletes what is before `seq`, as retention would. */
  readonly forget: (seq: number) => Promise<void>;
  /** Closes and opens again what outlives a process; a journal that does not gives itself. */
  readonly reopen: () => Promise<Journal<NoteEvent>>;
};

export const note = (seq: number, text = `note ${seq}`): NoteEvent => ({
  seq,
  at: 1_700_000_000_000 + seq,
  type: 'Noted',
  note: text,
});

export const notes = (first: number, count: number): readonly NoteEvent[] =>
  Array.from({ length: count }, (_, index) => note(first + index));

export function parseNote(stored: unknown): NoteEvent {
  if (
    typeof stored === 'object' &&
    stored !== null &&
    'seq' in stored &&
    'at' in stored &&
    'note' in stored
  ) {
    const { seq, at, note } = stored;
    if (typeof seq === 'number' && typeof at === 'number' && typeof note === 'string') {
      return { seq, at, type: 'Noted', note };
    }
  }
  throw new Error('not a note');
}

export async function readAll<E extends StoredEvent>(
  journal: Journal<E>,
  from = 1,
  to?: number,
): Promise<E[]> {
  const events: E[] = [];
  const range = to === undefined ? { from } : { from, to };
  for await (const page of journal.read(range)) events.push(...page);
  return events;
}

export function journalContract(t: Tap, name: string, open: (lineage: string) => Promise<Opened>): void {
  t.test(`${name}: an empty journal`, async (t) => {
    const { journal } = await open('L1');
    t.equal(journal.lineage, 'L1');
    t.equal(journal.last.seq, 0);
    t.equal(await journal.hashAt(0), journal.last.hash);
    t.equal(await journal.oldest(), 1);
    t.same(await readAll(journal), []);
    t.same(await journal.verify(), { first: 1, last: journal.last, events: 0 });
    await journal.append([]);
    t.equal(journal.last.seq, 0, 'no event, no batch');
    await journal.close();
  });

  t.test(`${name}: what is appended is read, from any seq to any other`, async (t) => {
    const { journal: written, reopen } = await open('L1');
    await written.append(notes(1, 1));
    await written.append(notes(2, 5));
    await written.append(notes(7, 3));
    const before = written.last;
    t.same(await readAll(written), notes(1, 9));
    const journal = await reopen();
    t.same(journal.last, before);
    t.equal(journal.lineage, 'L1');
    await journal.append(notes(10, 3));
    for (let from = 1; from <= 13; from += 1) t.same(await readAll(journal, from), notes(from, 13 - from));
    t.same(await readAll(journal, 3, 4), notes(3, 2));
    t.same(await readAll(journal, 12, 50), notes(12, 1), 'the end of the range may be in the future');
    t.same(await readAll(journal, 5, 4), []);
    t.equal((await journal.verify()).events, 12);
    await journal.close();
  });

  t.test(`${name}: text comes back as it was`, async (t) => {
    const { journal: written, reopen } = await open('L1');
    const hostile = [
      '","hash":"',
      '\n\0\r\u2028',
      '}\n{"seq":1}',
      ',"batch":1,"more":0',
      'größer 🚀',
      '\ud800',
      '',
    ];
    const events = hostile.map((text, index) => note(index + 1, text));
    await written.append(events);
    const journal = await reopen();
    t.same(await readAll(journal), JSON.parse(JSON.stringify(events)));
    t.equal((await journal.verify()).events, hostile.length);
    await journal.close();
  });

  t.test(`${name}: a hash says the whole past`, async (t) => {
    const one = await open('L1');
    const same = await open('L1');
    const other = await open('L1');
    for (const { journal } of [one, same])
      for (const batch of [notes(1, 2), notes(3, 2)]) await journal.append(batch);
    await other.journal.append([note(1, 'something else'), note(2)]);
    await other.journal.append(notes(3, 2));
    t.same(one.journal.last, same.journal.last);
    t.not(one.journal.last.hash, other.journal.last.hash);
    for (const seq of [0, 1, 2, 3, 4]) t.equal(await one.journal.hashAt(seq), await same.journal.hashAt(seq));
    t.equal(await one.journal.hashAt(4), one.journal.last.hash);
    for (const { journal } of [one, same, other]) await journal.close();
  });

  t.test(`${name}: misuse is a bug and leaves no trace`, async (t) => {
    const { journal } = await open('L1');
    await journal.append(notes(1, 1));
    await t.rejects(journal.append(notes(3, 1)), { name: 'InvariantError' }, 'a gap');
    await t.rejects(journal.append([note(2), note(4)]), { name: 'InvariantError' }, 'a gap within');
    const reserved = Object.assign(note(2), { hash: 'mine' });
    await t.rejects(journal.append([reserved as never]), { name: 'InvariantError' }, 'a reserved name');
    const first = journal.append(notes(2, 1));
    await t.rejects(journal.append(notes(3, 1)), { name: 'InvariantError' }, 'two batches at once');
    await first;
    const large = note(3, 'x'.repeat(limits.journalEventBytesMax));
    await t.rejects(journal.append([large]), { code: 'too-large', message: /journalEventBytesMax/ });
    t.same(await readAll(journal), notes(1, 2));
    await journal.append(notes(3, 1));
    await journal.close();
    await t.rejects(journal.append(notes(4, 1)), { name: 'InvariantError' }, 'closed');
  });

  t.test(`${name}: a cursor that cannot be served says so`, async (t) => {
    const { journal: written, forget, reopen } = await open('L1');
    for (let first = 1; first <= 40; first += 4) await written.append(notes(first, 4));
    const journal = await reopen();
    await t.rejects(readAll(journal, 0), { code: 'cursor-expired' });
    await t.rejects(readAll(journal, 42), { code: 'cursor-expired', message: /ends at 40/ });
    t.same(await readAll(journal, 41), [], 'the next event is not expired, only not there yet');
    await forget(21);
    const oldest = await journal.oldest();
    t.ok(oldest > 1 && oldest <= 21, `${oldest} is kept`);
    t.same(await readAll(journal, oldest), notes(oldest, 41 - oldest));
    await t.rejects(readAll(journal, oldest - 1), {
      code: 'cursor-expired',
      message: /oldest event that is kept/,
    });
    await t.rejects(journal.hashAt(oldest - 1), { code: 'cursor-expired' });
    t.same(await journal.verify(), { first: oldest, last: journal.last, events: 41 - oldest });
    await journal.close();
  });

  t.test(`${name}: a follower gets everything once, however slow, until it stops`, async (t) => {
    const { journal } = await open('L1');
    await journal.append(notes(1, 3));
    const stop = new AbortController();
    const seen: NoteEvent[] = [];
    const following = (async () => {
      for await (const page of follow(journal, 2, stop.signal)) {
        seen.push(...page);
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (seen.at(-1)?.seq === 200) stop.abort();
      }
    })();
    for (let seq = 4; seq <= 200; seq += 1) await journal.append(notes(seq, 1));
    await following;
    t.same(seen, notes(2, 199));
    await journal.close();
  });

  t.test(`${name}: waiting ends with an event, an abort, or the journal`, async (t) => {
    const { journal } = await open('L1');
    const stop = new AbortController();
    const never = new AbortController().signal;
    const order: string[] = [];
    const waits = [
      journal.beyond(0, never).then(() => order.push('event')),
      journal.beyond(1, stop.signal).then(() => order.push('abort')),
      journal.beyond(9, never).then(() => order.push('close')),
    ];
    await journal.append(notes(1, 1));
    await waits[0];
    stop.abort();
    await waits[1];
    await journal.close();
    await Promise.all(waits);
    t.same(order, ['event', 'abort', 'close']);
  });

  t.test(`${name}: as many may wait as the limit says`, async (t) => {
    const { journal } = await open('L1');
    const stop = new AbortController();
    const waits = Array.from({ length: limits.journalWaitersMax }, () => journal.beyond(0, stop.signal));
    await t.rejects(journal.beyond(0, stop.signal), { code: 'too-many' });
    stop.abort();
    await Promise.all(waits);
    await journal.close();
  });
}
