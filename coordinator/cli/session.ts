/** What every command that speaks to a coordinator has in hand, from its options to the end of its requests. */
import { CoordinatorClient } from './client.ts';
import { type ConnectionOptions, findCoordinator } from './connection.ts';
import { Terminal } from './terminal.ts';

export type CommonOptions = ConnectionOptions & { readonly output?: 'json' | 'jsonl' | 'wide' };

export type Session = { readonly client: CoordinatorClient; readonly terminal: Terminal };

export async function withCoordinator<T>(
  options: ConnectionOptions,
  action: (session: Session) => Promise<T>,
): Promise<T> {
  const client = new CoordinatorClient(findCoordinator(options, process.env));
  try {
    return await action({ client, terminal: new Terminal() });
  } finally {
    await client.close();
  }
}

/** A name as one segment of a URL's path. */
export const segment = (name: string): string => encodeURIComponent(name);

/** Aborted by the first Ctrl-C or TERM, so that what is being shown can end in order. */
export function interruption(): AbortController {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  return controller;
}
