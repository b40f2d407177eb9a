/** What the coordinator's side of an upgrade does in tests, and how its outcome is seen from there. */
import packageDescription from '../../../package.json' with { type: 'json' };
import type { Host } from '../host.ts';
import { digestOf } from './offered-program.ts';

export const a1 = 'r1/s/n1#1';
export const { version: installed } = packageDescription;
export const newer = '99.1.0';

export type Offered = { offer?: number; version?: string; digest?: string; healthyWithinMs?: number };

/** Stores the program at the coordinator and offers it. */
export function offer({ coordinator }: Host, program: string, more: Offered = {}): void {
  const digest = digestOf(program);
  coordinator.blobs.set(more.digest ?? digest, Buffer.from(program));
  coordinator.send({
    type: 'upgrade',
    offer: 1,
    version: newer,
    digest,
    healthyWithinMs: 20_000,
    ...more,
  });
}

/** Until the agent of that version is the one that stays and asks for work. */
export async function settled({ coordinator }: Host, version: string, hellos: number): Promise<void> {
  await coordinator.until(`hello ${hellos} and a pull after it`, (received) => {
    const last = received.findLastIndex(({ type }) => type === 'hello');
    const hello = received[last];
    if (coordinator.ofType('hello').length < hellos || hello?.type !== 'hello') return false;
    return hello.version === version && received.slice(last).some(({ type }) => type === 'pull');
  });
}

export async function failure({ coordinator }: Host): Promise<string> {
  await coordinator.until(
    'a hello that tells of the failure, or the message',
    () =>
      failuresTold(coordinator.ofType('hello').at(-1)?.upgradesFailed, coordinator.ofType('upgrade-failed')) >
      0,
  );
  const [told] = coordinator.ofType('upgrade-failed');
  return told?.reason ?? coordinator.ofType('hello').at(-1)?.upgradesFailed?.at(-1)?.reason ?? '';
}

const failuresTold = (inHello: readonly unknown[] | undefined, alone: readonly unknown[]): number =>
  (inHello?.length ?? 0) + alone.length;
