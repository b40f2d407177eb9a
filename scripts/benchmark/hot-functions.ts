/** What a CPU profile of V8 spent its time in: the functions with the most time of their own. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { formatTable } from './table.ts';

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.int(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.int() }),
    }),
  ),
  samples: z.array(z.int()),
  timeDeltas: z.array(z.number()),
});

export type HotFunction = { readonly name: string; readonly ms: number; readonly share: number };

/** Names by which V8 accounts for time in which the program had nothing to do. */
const idle = new Set(['(idle)', '(program)']);

/** Shares are of the time in which the process had something to do. */
export function hotFunctions(profile: unknown, root: string): HotFunction[] {
  const { nodes, samples, timeDeltas } = profileSchema.parse(profile);
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame, root)]));
  const times = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '(unknown)';
    if (!idle.has(name)) times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0) / 1_000);
  });
  const total = [...times.values()].reduce((sum, ms) => sum + ms, 0);
  return [...times]
    .map(([name, ms]) => ({ name, ms, share: total === 0 ? 0 : ms / total }))
    .sort((a, b) => b.ms - a.ms);
}

type CallFrame = { readonly functionName: string; readonly url: string; readonly lineNumber: number };

function nameOf({ functionName, url, lineNumber }: CallFrame, root: string): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const file = url.startsWith('file:') ? fileURLToPath(url) : url;
  const place = file.startsWith(`${root}/`) ? file.slice(root.length + 1) : file;
  return `${name} ${place}:${lineNumber + 1}`;
}

const shown = 40;

export function formatHotFunctions(folder: string, root: string): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => {
      const hot = hotFunctions(JSON.parse(readFileSync(join(folder, name), 'utf8')), root);
      const rows = hot
        .slice(0, shown)
        .map(({ name, ms, share }) => ['', `${(share * 100).toFixed(1)} %`, `${Math.round(ms)} ms`, name]);
      return `${join(folder, name)}\n${formatTable(rows)}\n`;
    })
    .join('\n');
}
