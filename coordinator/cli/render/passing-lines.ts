/**
 * Plain lines about what passes while jobs are at work and is no change of a job: their nodes' links, and the
 * iterations of those that repeat an execution.
 */
import * as z from 'zod';
import type { Job, JournalEvent, Run } from '../resources.ts';
import { formatClock } from './measures.ts';
import { describeIteration, furthestIteration } from './run-rows.ts';

const job = { step: z.string(), node: z.string() };
const followed = z.discriminatedUnion('type', [
  z.object({ type: z.literal('JobGranted'), ...job, executor: z.string().optional() }),
  z.object({ type: z.literal('JobStarted'), ...job }),
  z.object({ type: z.literal('AttemptEnded'), ...job, final: z.boolean() }),
  z.object({ type: z.literal('NodeDisconnected'), node: z.string() }),
  z.object({ type: z.literal('NodeConnected'), node: z.string() }),
]);

/** Takes all events of a run in order, and knows which nodes are at work. */
export class ContactLines {
  /** Who carries a job out, by step and node. */
  readonly #executors = new Map<string, string>();
  /** What a node is at, as `step node`. */
  readonly #work = new Map<string, string>();
  readonly #away = new Set<string>();

  /** A line, when a node that is at work has lost its link or has it again. */
  take(event: JournalEvent): string | undefined {
    const parsed = followed.safeParse(event);
    if (!parsed.success) return undefined;
    const { data } = parsed;
    const { node } = data;
    const line = (text: string): string => `${formatClock(Date.parse(event.at))} ${text}`;
    switch (data.type) {
      case 'JobGranted':
        this.#executors.set(`${data.step} ${node}`, data.executor ?? node);
        return undefined;
      case 'JobStarted':
        this.#work.set(this.#executorOf(data), `${data.step} ${node}`);
        return undefined;
      case 'AttemptEnded': {
        const executor = this.#executorOf(data);
        if (data.final && this.#work.get(executor) === `${data.step} ${node}`) this.#work.delete(executor);
        return undefined;
      }
      case 'NodeDisconnected': {
        const work = this.#work.get(node);
        if (work === undefined) return undefined;
        this.#away.add(node);
        return line(`${node} lost its link; ${work} goes on`);
      }
      case 'NodeConnected':
        return this.#away.delete(node) ? line(`${node} has its link again`) : undefined;
    }
  }

  #executorOf({ step, node }: { readonly step: string; readonly node: string }): string {
    return this.#executors.get(`${step} ${node}`) ?? node;
  }
}

/** One line for each step whose jobs repeat an execution, when it has gone on since it was told last. */
export class IterationLines {
  readonly #told = new Map<string, string>();

  take({ jobs = [] }: Run, now: number): readonly string[] {
    const bySteps = Map.groupBy<string, Job>(jobs, ({ step }) => step);
    return [...bySteps].flatMap(([step, own]) => {
      const furthest = furthestIteration(own);
      if (furthest === undefined) return [];
      const text = `${step} ${furthest.node} ${describeIteration(furthest.iteration)}`;
      if (this.#told.get(step) === text) return [];
      this.#told.set(step, text);
      return [`${formatClock(now)} ${text}`];
    });
  }
}
