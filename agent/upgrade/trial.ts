/**
 * The trial of another version, from both sides of the pipe between them. The old program starts the new one as a
 * child in its place and waits: a word over the pipe says that it is healthy, its end or silence that it is not. The
 * child leaves when the pipe breaks, because then nobody watches it any more. It is a child and not a replacement, so
 * that a program that hangs or dies at its first instruction is noticed without anybody's help.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

/** In the environment of a program on trial. */
export const trialVariable = 'LOCKSTEP_ON_TRIAL';
const pipeDescriptor = 3;
const healthy = 'healthy\n';
/** Comes with it, in one write, from a version that says when it has proved itself in its own place, too. */
const provesItself = 'proves itself\n';

export type TrialEnd =
  | { readonly kind: 'healthy'; readonly provesItself: boolean }
  | { readonly kind: 'unhealthy'; readonly reason: string }
  /** This process was told to end before it was known. */
  | { readonly kind: 'stopped' };

/** The child holds the state folder meanwhile; it is gone when this resolves. */
export async function tryProgram(
  command: readonly [string, ...string[]],
  environment: NodeJS.ProcessEnv,
  healthyWithinMs: number,
  signal: AbortSignal,
): Promise<TrialEnd> {
  const [program, ...words] = command;
  // In a group of its own: what a script of a program starts is ended with it.
  const child = spawn(program, words, {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    env: { ...environment, [trialVariable]: '1' },
    detached: true,
  });
  const ended = async (event: 'exit' | 'close'): Promise<string> => {
    try {
      const [status, killer] = await once(child, event);
      return `it ended with ${status ?? killer} before it was healthy`;
    } catch (error) {
      return `it cannot be started: ${messageOf(error)}`;
    }
  };
  const exited = ended('exit');
  // Comes when the pipe is read to its end, so that a last word is not overlooked.
  const closed = ended('close');
  const over = new AbortController();
  try {
    const { signal: done } = over;
    const end = await Promise.race([
      heard(child.stdio[pipeDescriptor]).then(
        (more): TrialEnd => ({ kind: 'healthy', provesItself: more === provesItself }),
      ),
      closed.then((reason): TrialEnd => ({ kind: 'unhealthy', reason })),
      sleep(healthyWithinMs, undefined, { signal: done }).then(
        (): TrialEnd => ({ kind: 'unhealthy', reason: `it was not healthy within ${healthyWithinMs} ms` }),
      ),
      aborted(signal, done).then((): TrialEnd => ({ kind: 'stopped' })),
    ]);
    if (end.kind === 'healthy')
      await Promise.race([exited, sleep(limits.upgradeLeaveMs, undefined, { signal: done })]);
    return end;
  } finally {
    over.abort();
    if (child.pid !== undefined) endGroup(child.pid);
    await exited;
  }
}

/** What came with the word. Never, when the pipe ends without it. */
function heard(pipe: unknown): Promise<string> {
  return new Promise((resolve) => {
    if (!(pipe instanceof Socket)) return;
    let text = '';
    // A child that died while it was written to; its end says all there is to say.
    pipe.on('error', () => undefined);
    pipe.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(0, healthy.length + provesItself.length);
      if (text.startsWith(healthy)) resolve(text.slice(healthy.length));
    });
  });
}

async function aborted(signal: AbortSignal, done: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort', { signal: done });
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}

/** The other side: what the program on trial holds. */
export class OnTrial {
  readonly #pipe = new Socket({ fd: pipeDescriptor });

  /** `abandoned` is called when nobody watches any more. */
  constructor(abandoned: () => void) {
    this.#pipe.on('error', abandoned).on('close', abandoned).resume();
  }

  sayHealthy(): void {
    this.#pipe.write(healthy + provesItself);
  }
}
