/** Declaring who is told, and taking that back. */
import { nodeNamePattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { requireRoomForSecrets, requireThat } from './administration.ts';
import type { Command } from './commands.ts';
import type { ReceiverRequest, ReceiverTarget } from './receivers.ts';
import type { Turn } from './turn.ts';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export function declareReceiver(turn: Turn, command: CommandOf<'DeclareReceiver'>): void {
  const { receiver, filter, by } = command;
  const { receivers } = turn.state;
  requireThat(
    nodeNamePattern.test(receiver),
    'invalid',
    `${JSON.stringify(receiver)} is not a name: small letters, digits, dots and dashes`,
  );
  requireThat(
    !receivers.has(receiver),
    'conflict',
    `a receiver named ${receiver} is there already: take it away first with lockstep notify rm ${receiver}`,
  );
  requireThat(
    receivers.size < limits.receiversMax,
    'too-many',
    `there are ${receivers.size} receivers, and receiversMax is ${limits.receiversMax}`,
  );
  const target = storedTarget(turn, command);
  requireRoomForSecrets(turn, `of receiver ${receiver}`);
  turn.emit({ type: 'ReceiverDeclared', receiver, target, filter, by });
}

function storedTarget(turn: Turn, { receiver, target }: ReceiverRequest): ReceiverTarget {
  if (target.kind !== 'webhook') return target;
  const { url, key } = target;
  const origin = originOf(url);
  requireThat(origin !== undefined, 'invalid', `a webhook needs an address like https://host/path`);
  const kept = turn.conceal(`receiver/${receiver}/${turn.state.seq + 1}`, { url, key });
  return { kind: 'webhook', origin, secret: 'secret' in kept ? kept.secret : '' };
}

/** Without user, password, path and query, which may be secret. */
const originOf = (url: string): string | undefined => {
  const [, scheme, authority] = /^(https?):\/\/([^/?#\s]+)/i.exec(url) ?? [];
  const host = authority?.split('@').at(-1);
  return scheme === undefined || !host ? undefined : `${scheme.toLowerCase()}://${host.toLowerCase()}`;
};

export function removeReceiver(turn: Turn, { receiver, by }: CommandOf<'RemoveReceiver'>): void {
  requireThat(
    turn.state.receivers.has(receiver),
    'not-found',
    `no receiver is named ${receiver}: see lockstep notify list`,
  );
  turn.emit({ type: 'ReceiverRemoved', receiver, by });
}
