/** What is read of one run beside its document: what it waits for, and how the logs of failed jobs end. */

import { limits } from '../../shared/limits.ts';
import { explanations as explanationsSchema } from '../http/resources.ts';
import type { CoordinatorClient } from './client.ts';
import { readLogs } from './log-stream.ts';
import { harmless } from './render/line.ts';
import { LogLines } from './render/log-lines.ts';
import type { Explanation, Job } from './resources.ts';
import { segment } from './session.ts';

export async function readExplanations(
  client: CoordinatorClient,
  run: string,
): Promise<readonly Explanation[]> {
  const { items } = await client.read(explanationsSchema, `/api/runs/${segment(run)}/why`);
  return items;
}

/** The last lines that an attempt wrote, of both streams together, safe to show. */
export async function readTail(
  client: CoordinatorClient,
  run: string,
  { step, node, attempt }: Pick<Job, 'step' | 'node' | 'attempt'>,
  linesMax: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const lines = new LogLines();
  const texts: string[] = [];
  const selection = { run, step, node, attempt, tailBytes: limits.watchTailBytes };
  for await (const chunk of readLogs(client, selection, false, signal))
    texts.push(...lines.push(chunk).map(({ text }) => text));
  texts.push(...lines.end().map(({ text }) => text));
  return texts
    .map((text) => harmless(text).trimEnd())
    .filter((text) => text !== '')
    .slice(-linesMax);
}
