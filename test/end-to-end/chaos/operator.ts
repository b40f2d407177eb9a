/**
 * Whoever operates the site: keeps a run going, and answers for jobs and runs that are held, by nothing but what
 * is to be seen on the nodes' disks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import type { Site } from './site.ts';

const runList = z.array(z.object({ id: z.string(), state: z.string() }));
const run = z.object({
  id: z.string(),
  state: z.string(),
  jobs: z.array(z.object({ step: z.string(), node: z.string(), state: z.string() })),
});
type Run = z.infer<typeof run>;

const isOver = ({ state }: { state: string }): boolean =>
  ['succeeded', 'failed', 'cancelled'].includes(state);

export class Operator {
  /** What was decided, in words. */
  readonly decisions: string[] = [];
  readonly #site: Site;
  readonly #file: string;

  constructor(site: Site, file: string) {
    this.#site = site;
    this.#file = file;
  }

  /** Keeps the site busy, and answers, until the signal. */
  async operate(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#keepBusy();
      await this.answer();
      await delay(1_000);
    }
  }

  /** Begins another run when none is under way. The coordinator may be down at any moment: then it is tried again. */
  async #keepBusy(): Promise<void> {
    const runs = await this.#runs();
    if (runs?.every((one) => isOver(one) || one.state === 'succeeded-with-deferred') === true) {
      await this.#site.cli(['run', this.#file]);
    }
  }

  /** Answers for what is held at this moment; true when every run is over. */
  async answer(): Promise<boolean> {
    const runs = await this.#runs();
    if (runs === undefined) return false;
    for (const { id } of runs.filter((one) => !isOver(one))) {
      const found = await this.#site.tryQuery(run, ['runs', 'show', id]);
      if (found !== undefined) await this.#answerFor(found);
    }
    return runs.every(isOver);
  }

  /** Why runs that are not over do not go on. */
  async askWhy(): Promise<string> {
    const open = (await this.#runs())?.filter((one) => !isOver(one)) ?? [];
    const said = await Promise.all(open.map(({ id }) => this.#site.cli(['why', id])));
    return said.map(({ stdout, stderr }) => stdout + stderr).join('\n');
  }

  async #answerFor({ id, state, jobs }: Run): Promise<void> {
    const held = jobs.filter((job) => job.state === 'held');
    for (const { step, node } of held) {
      const done = this.#site.effectsOf(id, step, node).size > 0;
      await this.#say(
        `${id}/${step}/${node}`,
        '--as',
        done ? 'succeeded' : 'again',
        '--reason',
        'looked on its disk',
      );
    }
    if (held.length === 0 && state === 'held') await this.#say(id);
  }

  /** Refused, when it is decided already or something before it is not: the next look will tell. */
  async #say(what: string, ...how: readonly string[]): Promise<void> {
    const { status, stderr } = await this.#site.cli(['resume', what, ...how]);
    this.decisions.push(`${what} ${how[1] ?? 'go on'}${status === 0 ? '' : `: ${stderr.trim()}`}`);
  }

  #runs(): Promise<z.infer<typeof runList> | undefined> {
    return this.#site.tryQuery(runList, ['runs']);
  }
}
