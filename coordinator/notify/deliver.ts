/** The ways to a receiver, by its target. */
import path from 'node:path';
import * as z from 'zod';
import { assertNever } from '../../shared/assert.ts';
import type { ReceiverTarget } from '../core/receivers.ts';
import { type Delivered, refused } from './delivery.ts';
import { mailOf } from './mail.ts';
import type { Message } from './message.ts';
import { runProgram } from './program.ts';
import { post } from './webhook.ts';

export type DeliveryMeans = {
  /** Where the programs are that receivers may name. */
  readonly programsFolder: string;
  readonly sendmail: string;
  /** The JSON text of a secret. */
  readonly secret: (reference: string) => string;
};

const webhook = z.object({ url: z.string(), key: z.string() });

export async function deliver(
  target: ReceiverTarget,
  message: Message,
  means: DeliveryMeans,
  signal: AbortSignal,
): Promise<Delivered> {
  switch (target.kind) {
    case 'webhook':
      return post(webhook.parse(JSON.parse(means.secret(target.secret))), message, signal);
    case 'command': {
      // A name, never a path: whoever may declare receivers must not choose what runs on this machine.
      if (path.basename(target.program) !== target.program || target.program.startsWith('.'))
        return refused(`${target.program} is not the name of a file in ${means.programsFolder}`);
      const file = path.join(means.programsFolder, target.program);
      return runProgram(
        { file, args: [], environment: message.environment, input: `${message.body}\n` },
        signal,
      );
    }
    case 'mail':
      return runProgram(
        {
          file: means.sendmail,
          args: ['-t', '-i'],
          environment: {},
          input: mailOf(message, target.to, new Date()),
        },
        signal,
      );
    default:
      return assertNever(target);
  }
}
