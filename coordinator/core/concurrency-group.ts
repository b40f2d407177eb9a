/**
 * Who is in a concurrency group, and who is before whom there. Runs that share nodes queue by themselves, in the order
 * in which they were planned; a group is one more such line, so that nobody in it can wait for somebody behind him.
 */
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { Run, State } from './state.ts';

export type Place = { readonly cluster: string; readonly pipeline: Pipeline };

export const isInGroupOf = (run: Run, { cluster, pipeline }: Place): boolean =>
  run.cluster === cluster &&
  pipeline.concurrency !== undefined &&
  run.pipeline.concurrency?.group === pipeline.concurrency.group;

/** Those that have more to do than what they have deferred. */
export const busyInGroup = (state: State, place: Place): readonly Run[] =>
  place.pipeline.concurrency === undefined
    ? []
    : [...state.activeRuns.values()].filter((run) => run.deferredAt === null && isInGroupOf(run, place));

/** The run that has to end, or to have only deferred jobs left, before this one may start. */
export function aheadInGroup(state: State, run: Run): Run | undefined {
  if (run.pipeline.concurrency?.per === 'node') return undefined;
  return busyInGroup(state, run).find(
    (other) =>
      other.plannedSeq > 0 && other.plannedSeq < run.plannedSeq && other.pipeline.concurrency?.per !== 'node',
  );
}

/** After a run has ended or let its nodes go: the next one of its group may start. */
export function wakeGroup(state: State, run: Run): void {
  if (run.pipeline.concurrency === undefined) return;
  for (const other of state.activeRuns.values()) {
    if (other.startedAt === null && isInGroupOf(other, run)) state.agenda.runs.add(other);
  }
}
