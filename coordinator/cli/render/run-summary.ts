/** How a run ended or why it does not go on, with the commands that lead further. */
import { assertNever } from '../../../shared/assert.ts';
import type { Run } from '../resources.ts';
import { jobGlyph } from './glyphs.ts';
import { type Line, line, type Span, span } from './line.ts';
import { formatDuration, inLocalTime } from './measures.ts';
import { nodesOf, type Trouble, troublesOf } from './run-rows.ts';

const troublesShownMax = 5;
const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

const tookMs = (run: Run, now: number): number =>
  (run.finishedAt === null ? now : Date.parse(run.finishedAt)) - Date.parse(run.startedAt ?? run.createdAt);

function countedJobs(run: Run): string {
  const { succeeded = 0, ...others } = run.counts;
  const total = Object.values(others).reduce((sum, count) => sum + count, succeeded);
  const unchanged = (run.jobs ?? []).filter((job) => job.unchanged && job.state === 'succeeded').length;
  const remarks = Object.entries(others).map(([state, count]) => `${count} ${state}`);
  if (unchanged > 0) remarks.push(`${unchanged} had nothing to do`);
  if (run.checkOnly && succeeded > unchanged)
    remarks.unshift(`${succeeded - unchanged} would change something`);
  const remark = remarks.length === 0 ? '' : ` (${remarks.join(', ')})`;
  return `${plural(total, 'job')} on ${plural(nodesOf(run).length, 'node')}${remark}`;
}

const because = (reason: string | null): string =>
  reason === null || reason === '' ? '' : `: ${inLocalTime(reason)}`;

/** Commands under each other, what they do beside them. */
function commands(pairs: readonly (readonly [string, string])[]): Line[] {
  const width = Math.max(...pairs.map(([command]) => command.length));
  return pairs.map(
    ([command, effect]): Line => [
      span('    '),
      span(command.padEnd(width), 'strong'),
      span(effect === '' ? '' : `   ${effect}`, 'dim'),
    ],
  );
}

function listTroubles(run: Run, troubles: readonly Trouble[]): Line[] {
  const lines = troubles.slice(0, troublesShownMax).map(({ sentence }) => line(`  ${sentence}`));
  const more = troubles.length - troublesShownMax;
  return more > 0 ? [...lines, line(`  and ${more} more: lockstep runs show ${run.id}`, 'dim')] : lines;
}

const logCommands = (troubles: readonly Trouble[]): [string, string][] =>
  troubles
    .filter(({ state }) => state === 'failed')
    .slice(0, 1)
    .map(({ job }) => [`lockstep logs ${job.id.replaceAll('/', ' ')}`, 'what it wrote']);

function waysOn(run: Run, troubles: readonly Trouble[]): [string, string][] {
  const ways: [string, string][] = [];
  const held = troubles.find(({ state }) => state === 'held');
  if (held !== undefined)
    ways.push([
      `lockstep resume ${held.job.id} --as succeeded|failed|again --reason …`,
      'say what became of it',
    ]);
  const { elections } = run;
  for (const { role, leader, step, candidates } of elections) {
    if (candidates.length === 0) continue;
    const node = candidates.length > 3 ? 'NODE' : candidates.join('|');
    const of = elections.length > 1 ? ` --role ${role}` : '';
    const why = leader === null ? 'which has none' : `whose leader ${leader} has ${step} still to do`;
    ways.push([
      `lockstep resume ${run.id} --elect ${node}${of}`,
      `first give ${role} another leader, ${why}`,
    ]);
  }
  if (troubles.some(({ state }) => state === 'failed')) {
    ways.push([`lockstep resume ${run.id} --retry-failed`, 'run again what failed']);
    if (elections.every(({ candidates }) => candidates.length > 0))
      ways.push([`lockstep resume ${run.id} --accept-failed`, 'go on without what failed']);
  }
  if (ways.length === 0) ways.push([`lockstep resume ${run.id}`, 'go on']);
  ways.push([`lockstep cancel ${run.id}`, 'give it up']);
  return ways;
}

/** Empty while the run goes on by itself. Under a picture, what that shows is not told again. */
export function summarise(run: Run, now: number, isPictureAbove = false): Line[] {
  const troubles = troublesOf(run);
  const listed = isPictureAbove ? [] : listTroubles(run, troubles);
  const name: Span = span(`${run.id} ${run.pipeline}`, 'strong');
  const took = formatDuration(tookMs(run, now));
  switch (run.state) {
    case 'queued':
    case 'running':
    case 'paused':
    case 'cancelling':
      return [];
    case 'succeeded':
    case 'succeeded-with-deferred':
      return [
        [jobGlyph('succeeded'), span(' '), name, span(` ${run.state} in ${took}: ${countedJobs(run)}`)],
      ];
    case 'failed':
      return [
        [jobGlyph('failed'), span(' '), name, span(` failed after ${took}${because(run.reason)}`)],
        ...listed,
        ...commands([...logCommands(troubles), [`lockstep runs show ${run.id}`, 'all of it']]),
      ];
    case 'cancelled':
      return [
        [jobGlyph('cancelled'), span(' '), name, span(` was cancelled after ${took}${because(run.reason)}`)],
        ...listed,
      ];
    case 'held':
      return [
        [jobGlyph('held'), span(' '), name, span(` is held for a decision${because(run.reason)}`)],
        ...listed,
        ...commands([...logCommands(troubles), ...waysOn(run, troubles)]),
      ];
    case 'waiting-for-approval': {
      const units = run.units.filter(({ approval }) => approval.state === 'requested');
      return [
        [jobGlyph('held'), span(' '), name, span(' waits for approval')],
        ...units.map(({ id, approval }) => line(`  ${id}: ${approval.text ?? ''}`)),
        ...commands(
          units.flatMap(({ id }): [string, string][] => [
            [`lockstep approve ${run.id} ${id}`, ''],
            [`lockstep reject ${run.id} ${id} --reason …`, ''],
          ]),
        ),
      ];
    }
    default:
      return assertNever(run.state);
  }
}
