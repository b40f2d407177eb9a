/**
 * A notification as it leaves: JSON for programs, text for people. `text` is part of the JSON, so that what chats
 * expect of a webhook is there already. The shape is documented in the README; fields are added, never changed.
 */
import { limits } from '../../shared/limits.ts';
import type { Notification } from '../core/notifications.ts';

export type Message = {
  /** The same however often it is delivered, and no other one has it. */
  readonly id: string;
  readonly receiver: string;
  readonly kind: string;
  /** One line. */
  readonly subject: string;
  readonly text: string;
  readonly environment: Readonly<Record<string, string>>;
  /** All of it as JSON. */
  readonly body: string;
};

export function messageOf(id: string, receiver: string, notification: Notification): Message {
  const { kind, seq, at, cluster, run, pipeline, node, what, commands } = notification;
  const why = notification.why?.slice(0, limits.notificationWhyLengthMax) ?? null;
  const text = textOf({ ...notification, why });
  const body = JSON.stringify({
    version: 1,
    id,
    receiver,
    kind,
    seq,
    at: new Date(at).toISOString(),
    cluster,
    run,
    pipeline,
    node,
    what,
    why,
    commands,
    text,
  });
  return {
    id,
    receiver,
    kind,
    subject: `[lockstep] ${what}`,
    text,
    environment: {
      LOCKSTEP_NOTIFICATION_ID: id,
      LOCKSTEP_NOTIFICATION_KIND: kind,
      LOCKSTEP_NOTIFICATION_RECEIVER: receiver,
      LOCKSTEP_CLUSTER: cluster ?? '',
      LOCKSTEP_RUN: run ?? '',
      LOCKSTEP_PIPELINE: pipeline ?? '',
      LOCKSTEP_NODE: node ?? '',
    },
    body,
  };
}

function textOf({ what, why, commands, at }: Notification): string {
  const ways = commands.map((command) => `  ${command}\n`).join('');
  return [
    `${what}\n`,
    ...(why === null ? [] : [`Why: ${why}\n`]),
    `When: ${new Date(at).toISOString()}\n`,
    ...(ways === '' ? [] : [`\n${ways}`]),
  ].join('');
}

/** What `lockstep notify test` sends. */
export const testNotification = (receiver: string, now: number): Notification => ({
  kind: 'held',
  seq: 0,
  at: now,
  cluster: null,
  run: null,
  pipeline: null,
  node: null,
  what: `This is a test of the receiver ${receiver}: nothing is held.`,
  why: 'somebody said `lockstep notify test`',
  commands: ['lockstep notify list'],
});
