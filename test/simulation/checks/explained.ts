/** P10. For each unfinished job there is a sentence that names the gate. */
import { explainRun } from '../../../coordinator/core/explain.ts';
import { isFinished } from '../../../coordinator/core/job-state.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { type Checker, require } from '../judge.ts';

export class Explained implements Checker {
  looked(state: State): void {
    for (const run of state.activeRuns.values()) {
      const explained = new Map(explainRun(state, run, () => undefined).map((one) => [one.job, one]));
      for (const step of run.steps) {
        for (const [node, job] of step.jobs) {
          if (isFinished(job.state)) continue;
          const id = `${run.id}/${step.step.id}/${node}`;
          const why = explained.get(id);
          require(why !== undefined &&
            why.gate !== '' &&
            why.gate !== 'none' &&
            why.sentence.length > id.length + 1, () => `P10: nothing explains why ${id} is ${job.state}`);
        }
      }
    }
  }
}
