/** `watch` for somebody at a terminal: the run's picture, drawn over itself until the run is over. */
import { LiveScreen } from './live-screen.ts';
import { exitCodeOfRun } from './outcome.ts';
import { drawRun } from './render/run-picture.ts';
import type { Run } from './resources.ts';
import { RunCommentary } from './run-commentary.ts';
import { followRun } from './run-follower.ts';
import type { Session } from './session.ts';

/** Elapsed times go on between events. */
const redrawMs = 250;

/** At a terminal somebody may still approve elsewhere: only what needs a decision about trouble ends it. */
const isOver = (run: Run): boolean =>
  run.state !== 'waiting-for-approval' && exitCodeOfRun(run.state) !== undefined;

export async function watchLive(
  { client, terminal }: Session,
  first: Run,
  signal: AbortSignal,
): Promise<Run> {
  const screen = new LiveScreen(terminal);
  let run = first;
  let lost: string | null = null;
  const draw = (): void => {
    const { explanations, tails } = commentary;
    const view = { run, now: Date.now() + client.clockAheadMs, explanations, tails, lost };
    screen.draw(drawRun(view, { columns: screen.columns, rows: screen.rows }));
  };
  const commentary = new RunCommentary(client, signal, draw);
  const timer = setInterval(() => {
    draw();
    commentary.refresh(run);
  }, redrawMs);
  try {
    draw();
    const following = { id: first.id, since: client.seq, jobs: true, isOver };
    const listener = {
      event: () => undefined,
      run: (latest: Run) => {
        run = latest;
        draw();
        commentary.expire();
        commentary.refresh(run);
      },
      lost: (sentence: string | null) => {
        lost = sentence;
        draw();
      },
    };
    run = await followRun(client, first, following, listener, signal);
    if (!signal.aborted) await commentary.complete(run);
    draw();
    return run;
  } finally {
    clearInterval(timer);
    screen.close();
  }
}
