/** `lockstep watch`, and what `run --watch` does once there is a run. */
import { assert } from '../../../shared/assert.ts';
import { run as runSchema } from '../../http/resources.ts';
import { watchLive } from '../live-watch.ts';
import { exitCodeOfRun, exitCodes } from '../outcome.ts';
import { watchJsonLines, watchPlain, watchSilently } from '../plain-watch.ts';
import { summarise } from '../render/run-summary.ts';
import type { Run } from '../resources.ts';
import { type CommonOptions, interruption, type Session, segment, withCoordinator } from '../session.ts';

function follow(session: Session, first: Run, options: CommonOptions, signal: AbortSignal): Promise<Run> {
  if (options.output === 'json') return watchSilently(session, first, signal);
  if (options.output === 'jsonl') return watchJsonLines(session, first, signal);
  return session.terminal.interactive
    ? watchLive(session, first, signal)
    : watchPlain(session, first, signal);
}

/** Ends when the run does, when it needs a decision, or at Ctrl-C; the exit code says which. */
export async function watchRun(session: Session, id: string, options: CommonOptions): Promise<number> {
  const { client, terminal } = session;
  const path = `/api/runs/${segment(id)}`;
  const { signal } = interruption();
  const run = await follow(session, await client.read(runSchema, path), options, signal);
  const exitCode = exitCodeOfRun(run.state);
  if (signal.aborted && exitCode === undefined) {
    terminal.note(
      `\n${id} goes on. Watch it again with \`lockstep watch ${id}\`, stop it with \`lockstep cancel ${id}\`.`,
    );
    return exitCodes.interrupted;
  }
  if (options.output === undefined) {
    const whole = run.jobs === undefined ? await client.read(runSchema, path) : run;
    terminal.printWhole([
      ...(terminal.interactive ? [[]] : []),
      ...summarise(whole, Date.now() + client.clockAheadMs, terminal.interactive),
    ]);
  } else if (options.output === 'json') terminal.printJson(await client.read(runSchema, path));
  if (signal.aborted) return exitCodes.interrupted;
  assert(exitCode !== undefined, 'a run is watched until it is over');
  return exitCode;
}

export const watch = (id: string, options: CommonOptions): Promise<number> =>
  withCoordinator(options, (session) => watchRun(session, id, options));
