/**
 * One execution on a host: the supervisor with its script (agent/run/supervisor.ts). It takes the claim before
 * the script begins, records the exit status after, and outlives the agent; it dies with its host.
 */
import { limits } from '../../shared/limits.ts';
import type { JobSpecification, StreamName } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { AttemptFolder, ExecutionFolder } from './host-disk.ts';
import { outputOf } from './script-output.ts';
import type { Life, Task, Timeline } from './timeline.ts';

export type ScriptParts = {
  readonly timeline: Timeline;
  readonly random: Random;
  /** Of this boot of the host. */
  readonly boot: Life;
  readonly attempt: string;
  readonly folder: AttemptFolder;
  readonly execution: ExecutionFolder;
  readonly specification: Pick<JobSpecification, 'outputs'>;
  readonly began: () => void;
  readonly printed: (stream: StreamName, text: string) => void;
  readonly ended: () => void;
};

/** What this script will do; drawn when it begins. */
type Behaviour = { readonly durationMs: number; readonly status: number; readonly prints: number };

const drawn = (random: Random, phase: ExecutionFolder['phase']): Behaviour => {
  const kind = random.next();
  const durationMs = kind < 0.75 ? 200 + 6_000 * random.next() : 20_000 + 90_000 * random.next();
  const prints = random.below(4);
  if (phase === 'check')
    return {
      durationMs: durationMs / 5,
      status: random.chance(0.1) ? 0 : random.chance(0.02) ? 2 : 1,
      prints,
    };
  return { durationMs, status: random.chance(0.92) ? 0 : 1, prints };
};

export class Script {
  readonly #parts: ScriptParts;
  /** The agent that watches, if one does. Told after the supervisor has ended. */
  watcher: (() => void) | null = null;
  #end: Task | undefined;
  isOver = false;

  /** The supervisor was spawned; it may take a moment until it runs. */
  constructor(parts: ScriptParts) {
    this.#parts = parts;
    const { timeline, random, boot } = parts;
    timeline.after(
      random.chance(0.9) ? 20 * random.next() : 2_000 * random.next(),
      () => this.#claim(),
      boot,
    );
  }

  #claim(): void {
    const { execution, random, timeline, boot } = this.#parts;
    if (this.isOver) return;
    if (execution.claim !== 'unclaimed') {
      this.#over();
      return;
    }
    execution.claim = 'supervised';
    this.#parts.began();
    const { durationMs, status, prints } = drawn(random, execution.phase);
    for (let line = 0; line < prints; line += 1) {
      timeline.after((durationMs * line) / prints, () => this.#print(line), boot);
    }
    this.#end = timeline.after(durationMs, () => this.#exit(status), boot);
  }

  #print(line: number): void {
    if (this.isOver) return;
    const { random, attempt, execution, folder, printed } = this.#parts;
    const stream = random.chance(0.8) ? 'stdout' : 'stderr';
    const text = `${attempt} ${execution.phase} ${execution.number}, line ${line}: ${'x'.repeat(random.below(200))}\n`;
    folder.printed[stream] += text;
    printed(stream, text);
  }

  #exit(status: number): void {
    if (this.isOver) return;
    const { execution, specification, attempt, random } = this.#parts;
    if (execution.phase === 'run' && Object.keys(specification.outputs).length > 0)
      execution.output = outputOf(specification, attempt, execution.number, random);
    execution.status = status;
    this.#over();
  }

  /** TERM, and after a while KILL. */
  stop(): void {
    const { timeline, random, boot } = this.#parts;
    if (this.#end !== undefined) this.#end.cancelled = true;
    const stubborn = random.chance(0.1);
    const graceMs = stubborn ? limits.killGraceMs : 300 * random.next();
    timeline.after(graceMs, () => this.#exit(stubborn ? 137 : 143), boot);
  }

  /** The supervisor was killed, for want of memory say: nobody records how it ended. */
  killSupervisor(): void {
    if (this.#parts.execution.claim === 'supervised') this.#over();
  }

  /** The host is gone, and everything on it. */
  die(): void {
    this.isOver = true;
    this.#parts.ended();
  }

  #over(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.#end !== undefined) this.#end.cancelled = true;
    this.#parts.ended();
    this.watcher?.();
  }
}
