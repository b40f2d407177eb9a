/** `watch` for somebody at a terminal: the run's picture, drawn over itself until the run is over. */
import { limits } from '../../shared/limits.ts';
import { LiveScreen } from './live-screen.ts';
import { exitCodeOfRun } from './outcome.ts';
import { drawRun } from './render/run-picture.ts';
import { troublesOf } from './render/run-rows.ts';
import type { Explanation, Run } from './resources.ts';
import { followRun } from './run-follower.ts';
import { readExplanations, readTail } from './run-reading.ts';
import type { Session } from './session.ts';

/** Elapsed times go on between events. */
const redrawMs = 250;
const tailLines = 12;

/** At a terminal somebody may still approve elsewhere: only what needs a decision about trouble ends it. */
const isOver = (run: Run): boolean =>
  run.state !== 'waiting-for-approval' && exitCodeOfRun(run.state) !== undefined;

export async function watchLive(
  { client, terminal }: Session,
  first: Run,
  signal: AbortSignal,
): Promise<Run> {
  const screen = new LiveScreen(terminal);
  const tails = new Map<string, readonly string[]>();
  let run = first;
  let explanations: readonly Explanation[] = [];
  let explainedAt = 0;
  let lost: string | null = null;

  const draw = (): void => {
    const view = { run, now: Date.now() + client.clockAheadMs, explanations, tails, lost };
    screen.draw(drawRun(view, { columns: screen.columns, rows: screen.rows }));
  };
  /** Sentences and logs are an addition: when they cannot be had, the picture goes on without. */
  const explain = async (): Promise<void> => {
    if (run.finishedAt !== null || Date.now() - explainedAt < limits.watchExplainMs) return;
    explainedAt = Date.now();
    explanations = await readExplanations(client, run.id).catch(() => explanations);
  };
  const readTails = async (): Promise<void> => {
    for (const { job } of troublesOf(run).slice(0, limits.watchTailsMax)) {
      if (tails.has(job.id) || job.attempt === 0) continue;
      tails.set(job.id, []);
      const tail = await readTail(client, run.id, job, tailLines, signal).catch(() => undefined);
      if (tail === undefined) tails.delete(job.id);
      else tails.set(job.id, tail);
    }
  };

  let additions = Promise.resolve();
  const add = (): void => {
    additions = additions.then(() => Promise.all([explain(), readTails()])).then(draw);
  };
  const timer = setInterval(() => {
    draw();
    if (Date.now() - explainedAt > limits.watchExplainMs) add();
  }, redrawMs);
  try {
    draw();
    const following = { id: first.id, since: client.seq, jobs: true, isOver };
    const listener = {
      event: () => undefined,
      run: (latest: Run) => {
        run = latest;
        draw();
        add();
      },
      lost: (sentence: string | null) => {
        lost = sentence;
        draw();
      },
    };
    run = await followRun(client, first, following, listener, signal);
    if (!signal.aborted) {
      explainedAt = 0;
      add();
      await additions;
    }
    draw();
    return run;
  } finally {
    clearInterval(timer);
    screen.close();
  }
}
