/**
 * What scripts told of their parts, for `runs show`: one row for each script of a folder, task of a playbook or
 * resource of a plan, with the hosts on which it came to the same.
 */
import { isBroken, type Part } from '../../../shared/parts.ts';
import type { Run } from '../resources.ts';
import { type Line, span } from './line.ts';
import { byName, foldNames } from './node-names.ts';
import { type Cell, formatTable } from './table.ts';

type Told = { readonly host: string; readonly part: Part };
type Row = { readonly step: string; readonly part: Part; readonly told: Told[] };

/** In the order in which the first node told of them. */
function rowsOf(run: Run): { readonly rows: readonly Row[]; readonly omitted: number } {
  const rows = new Map<string, Row>();
  let omitted = 0;
  for (const { step, node, parts = [], partsOmitted = 0 } of run.jobs ?? []) {
    omitted += partsOmitted;
    for (const part of parts) {
      const key = JSON.stringify([step, part.within, part.name]);
      const row = rows.get(key) ?? { step, part, told: [] };
      rows.set(key, row);
      row.told.push({ host: part.host ?? node, part });
    }
  }
  return { rows: [...rows.values()], omitted };
}

const styles: Readonly<Partial<Record<Part['state'], 'bad' | 'warn' | 'dim'>>> = {
  failed: 'bad',
  unreachable: 'bad',
  ignored: 'warn',
  rescued: 'warn',
  skipped: 'dim',
};

function statesOf(told: readonly Told[]): Line {
  const hosts = new Map<Part['state'], Set<string>>();
  for (const { host, part } of told) hosts.set(part.state, (hosts.get(part.state) ?? new Set()).add(host));
  return [...hosts].flatMap(([state, names], index): Line => {
    const text = `${state} ${foldNames([...names].sort(byName))}`;
    return [...(index === 0 ? [] : [span(', ')]), span(text, styles[state])];
  });
}

export function listParts(run: Run): Line[] {
  const { rows, omitted } = rowsOf(run);
  if (rows.length === 0) return [];
  const cells = rows.flatMap(({ step, part: { name, within }, told }): Cell[][] => [
    [step, within ?? '', name, statesOf(told)],
    ...told
      .filter(({ part }) => isBroken(part) && part.message !== undefined)
      .map(({ host, part }): Cell[] => ['', '', '', `${host}: ${part.message}`]),
  ]);
  const lines = formatTable([{ head: 'STEP' }, { head: 'IN' }, { head: 'PART' }, { head: 'CAME TO' }], cells);
  return omitted === 0 ? lines : [...lines, [span(`and ${omitted} more that are only in the logs`, 'dim')]];
}
