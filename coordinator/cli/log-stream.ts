/** Log chunks of a run as the coordinator has them, or as they come; asked for again when a connection breaks. */
import { logChunk } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { persistentStream } from './persistent-stream.ts';
import type { LogChunk } from './resources.ts';
import { segment } from './session.ts';

export type LogSelection = {
  readonly run: string;
  readonly step?: string | undefined;
  readonly node?: string | undefined;
  readonly attempt?: number | undefined;
  readonly stream?: 'stdout' | 'stderr' | undefined;
  readonly tailBytes?: number | undefined;
};

/**
 * Chunks in order per stream. After a break they come again from the beginning: the reader knows by offset
 * what it has had. With `follow` this ends when the run does.
 */
export async function* readLogs(
  client: CoordinatorClient,
  { run, ...selection }: LogSelection,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<LogChunk, void, void> {
  let rest = '';
  let decoder = new TextDecoder();
  const ask = () => {
    rest = '';
    decoder = new TextDecoder();
    return {
      path: `/api/runs/${segment(run)}/logs`,
      query: { ...selection, follow, format: 'ndjson' },
      headers: { accept: 'application/x-ndjson' },
    };
  };
  for await (const item of persistentStream(client, ask, false, signal)) {
    if (item.kind === 'interrupted' && !follow) throw item.error;
    if (item.kind !== 'chunk') continue;
    const lines = (rest + decoder.decode(item.chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield logChunk.parse(JSON.parse(line));
  }
}
