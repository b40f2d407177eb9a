/** A rehearsal for people: what happens when, each step, the worst that is down at once, and how it ends. */
import { type Line, line, type Span, type Style, span } from '../cli/render/line.ts';
import { formatDuration } from '../cli/render/measures.ts';
import { countedNames } from '../cli/render/node-names.ts';
import { type Cell, formatTable } from '../cli/render/table.ts';
import type { RehearsedUnit, Story } from './story.ts';

const passagesShownMax = 60;
const openShownMax = 5;

const timeOf = (ms: number | null): string => (ms === null ? '' : formatDuration(ms));

function drawPassages({ passages }: Story): Line[] {
  const shown = passages.slice(0, passagesShownMax);
  const width = Math.max(0, ...shown.map(({ at }) => timeOf(at).length));
  const lines = shown.map(
    ({ at, what, nodes }): Line => [
      span(`  ${timeOf(at).padStart(width)}  `, 'dim'),
      span(nodes.length === 0 ? what : `${what}: ${countedNames(nodes)}`),
    ],
  );
  const more = passages.length - shown.length;
  return more > 0 ? [...lines, line(`  … and ${more} more (-o json shows all)`, 'dim')] : lines;
}

const states = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');

function drawSteps({ steps }: Story): Line[] {
  return formatTable(
    [
      { head: 'STEP' },
      { head: 'BEGINS', align: 'right' },
      { head: 'ENDS', align: 'right' },
      { head: 'LONGEST', align: 'right' },
      { head: 'ON' },
      { head: 'JOBS' },
    ],
    steps.map(({ step, beganAt, endedAt, longestMs, longestNode, states: counts, assumed }): Cell[] => [
      [span(step, 'strong')],
      timeOf(beganAt),
      timeOf(endedAt),
      `${timeOf(longestMs)}${assumed && longestMs !== null ? '?' : ''}`,
      longestNode ?? '',
      states(counts),
    ]),
  );
}

function drawWorst(unit: RehearsedUnit): Line[] {
  const { worst } = unit;
  if (worst === null || unit.strategy !== 'rolling') return [];
  const domains = Object.entries(worst.domains).map(([domain, count]) => `${domain} ${count}`);
  const where = domains.length === 0 ? '' : `: ${domains.join(', ')}`;
  const waves = unit.waves.length > 1 ? `; ${unit.waves.length} waves` : '';
  return [
    [
      span(`${unit.unit}: `, 'strong'),
      span(`at most ${worst.count} of ${unit.nodes} nodes unavailable at once`),
      span(` (after ${timeOf(worst.at)}${where})${waves}`),
    ],
  ];
}

const styleOf = (state: string): Style =>
  state === 'succeeded' ? 'good' : state === 'failed' || state === 'held' ? 'bad' : 'warn';

export function drawStory(story: Story, told: readonly string[]): Line[] {
  const assumed = story.steps.filter((step) => step.assumed).map(({ step }) => step);
  const end: Span[] = [span(story.state, styleOf(story.state)), span(` after ${timeOf(story.wallMs)}`)];
  if (story.reason !== null) end.push(span(`: ${story.reason}`));
  const open = story.open.slice(0, openShownMax).map((sentence) => line(`  ${sentence}`));
  const more = story.open.length - open.length;
  return [
    [
      span(story.pipeline, 'strong'),
      span(` on cluster ${story.cluster}, rehearsed on ${story.nodes} nodes: ${told.join(', ')}`),
    ],
    [],
    ...drawPassages(story),
    [],
    ...drawSteps(story),
    [],
    ...story.units.flatMap(drawWorst),
    end,
    ...open,
    ...(more > 0 ? [line(`  … and ${more} more (-o json shows all)`, 'dim')] : []),
    ...(assumed.length === 0
      ? []
      : [
          line(
            `How long ${assumed.join(', ')} ${assumed.length === 1 ? 'takes' : 'take'} is not known: say it with --duration STEP=TIME.`,
            'dim',
          ),
        ]),
  ];
}
