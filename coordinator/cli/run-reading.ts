/** What is read of one run beside its document: what it waits for, and how the logs of failed jobs end. */

import { limits } from '../../shared/limits.ts';
import { explanations as explanationsSchema } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { readLogs } from './log-stream.ts';
import { sleep } from './persistent-stream.ts';
import { harmless } from './render/line.ts';
import { bytesOf, LogLines } from './render/log-lines.ts';
import type { Explanation, Job } from './resources.ts';
import { segment } from './session.ts';

export async function readExplanations(
  client: CoordinatorClient,
  run: string,
): Promise<readonly Explanation[]> {
  const { items } = await client.read(explanationsSchema, `/api/runs/${segment(run)}/why`);
  return items;
}

type Lengths = { readonly stdout: number; readonly stderr: number };

/** Between two looks for the rest of a log that is still on its way from its node. */
const lookAgainMs = 200;

/**
 * The last lines that an attempt wrote, of both streams together, safe to show. A result may be here before
 * the end of the log is: with the log's lengths this waits for it, for `watchTailWaitMs` at most.
 */
export async function readTail(
  client: CoordinatorClient,
  run: string,
  { step, node, attempt }: Pick<Job, 'step' | 'node' | 'attempt'>,
  signal: AbortSignal,
  lengths: Lengths = { stdout: 0, stderr: 0 },
): Promise<readonly string[]> {
  const selection = { run, step, node, attempt, tailBytes: limits.watchTailBytes };
  const deadline = performance.now() + limits.watchTailWaitMs;
  for (;;) {
    const lines = new LogLines();
    const texts: string[] = [];
    const ends = { stdout: 0, stderr: 0 };
    for await (const chunk of readLogs(client, selection, false, signal)) {
      texts.push(...lines.push(chunk).map(({ text }) => text));
      ends[chunk.stream] = chunk.offset + bytesOf(chunk).length + (chunk.gapBytes ?? 0);
    }
    texts.push(...lines.end().map(({ text }) => text));
    const isWhole = ends.stdout >= lengths.stdout && ends.stderr >= lengths.stderr;
    if (isWhole || signal.aborted || performance.now() > deadline) return lastLines(texts);
    await sleep(lookAgainMs, signal);
  }
}

const lastLines = (texts: readonly string[]): string[] =>
  texts
    .map((text) => harmless(text).trimEnd())
    .filter((text) => text !== '')
    .slice(-limits.watchTailLines);
