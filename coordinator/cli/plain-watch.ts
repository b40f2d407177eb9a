/** `watch` for log files and CI jobs: one line for each change, from the beginning of the run. */
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { run as runSchema } from '../http/resources.ts';
import { exitCodeOfRun } from './outcome.ts';
import { eventLine, failedAttempt } from './render/event-line.ts';
import { line } from './render/line.ts';
import { ContactLines, IterationLines } from './render/passing-lines.ts';
import type { JournalEvent, Run } from './resources.ts';
import { followRun } from './run-follower.ts';
import { readTail } from './run-reading.ts';
import { type Session, segment } from './session.ts';

/** Nobody is there to approve: whatever does not go on by itself ends it. */
const isOver = (run: Run): boolean => exitCodeOfRun(run.state) !== undefined;

/** `print`: what is printed of an event, if anything; `glance`: of the run as it is now, from time to time. */
async function watchEvents(
  { client, terminal }: Session,
  first: Run,
  print: (event: JournalEvent) => Promise<void>,
  signal: AbortSignal,
  glance: (run: Run) => Promise<void> = async () => undefined,
): Promise<Run> {
  // One after the other, so that the tail of a log stands under the line that it belongs to.
  let printing = Promise.resolve();
  let isLost = false;
  const listener = {
    event: (event: JournalEvent) => {
      printing = printing.then(() => print(event));
    },
    run: (latest: Run) => {
      printing = printing.then(() => glance(latest));
    },
    lost: (sentence: string | null) => {
      // Once for each time that it is away, however many attempts it takes.
      if (sentence !== null && !isLost) terminal.note(sentence);
      if (sentence === null && isLost) terminal.note('the coordinator answers again');
      isLost = sentence !== null;
    },
  };
  const following = { id: first.id, since: Math.max(0, first.seq - 1), jobs: false, isOver };
  const run = await followRun(client, first, following, listener, signal);
  await printing;
  return run;
}

export async function watchPlain(session: Session, first: Run, signal: AbortSignal): Promise<Run> {
  const { client, terminal } = session;
  const contacts = new ContactLines();
  const iterations = new IterationLines();
  let glancedAt = Date.now();
  const glance = async (latest: Run): Promise<void> => {
    if (latest.counts.running === undefined || Date.now() - glancedAt < limits.watchIterationMs) return;
    const seen = await client.read(runSchema, `/api/runs/${segment(first.id)}`).catch(unreachable);
    if (seen === undefined) return;
    glancedAt = Date.now();
    const now = glancedAt + client.clockAheadMs;
    terminal.printWhole(iterations.take(seen, now).map((text) => line(text)));
  };
  const print = async (event: JournalEvent): Promise<void> => {
    const contact = contacts.take(event);
    const text = eventLine(event) ?? contact;
    if (text !== undefined) terminal.printWhole([line(text)]);
    const failed = failedAttempt(event);
    if (failed === undefined) return;
    const tail = await readTail(client, first.id, failed, signal, failed.logs).catch((error: unknown) => {
      if (error instanceof LockstepError) return [];
      throw error;
    });
    terminal.printWhole(tail.map((text) => line(`    | ${text}`)));
  };
  return watchEvents(session, first, print, signal, glance);
}

/** What is only looked at now and then is left out when it cannot be had. */
function unreachable(error: unknown): undefined {
  if (!(error instanceof LockstepError)) throw error;
  return undefined;
}

export const watchJsonLines = (session: Session, first: Run, signal: AbortSignal): Promise<Run> =>
  watchEvents(session, first, async (event) => session.terminal.printJsonLine(event), signal);

export const watchSilently = (session: Session, first: Run, signal: AbortSignal): Promise<Run> =>
  watchEvents(session, first, async () => undefined, signal);
