/** `lockstep notify`: who is told of what happens, and whether that works. */
import { readFileSync } from 'node:fs';
import type * as z from 'zod';
import { LockstepError } from '../../../shared/errors.ts';
import { nearestWord } from '../../../shared/nearest.ts';
import {
  deliveryTest,
  notificationKindWords,
  receiverDeclared,
  receiverList,
  type receiver as receiverSchema,
} from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type Line, line } from '../render/line.ts';
import { formatDate, formatDuration } from '../render/measures.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export type AddOptions = CommonOptions & {
  readonly webhook?: string;
  readonly keyFile?: string;
  readonly command?: string;
  readonly mail?: readonly string[];
  readonly kind?: readonly string[];
  readonly cluster?: readonly string[];
  readonly pipeline?: readonly string[];
};

type Receiver = z.infer<typeof receiverSchema>;
type Kind = (typeof notificationKindWords)[number];

const isKind = (word: string): word is Kind => notificationKindWords.some((kind) => kind === word);

function kindOf(word: string): Kind {
  if (isKind(word)) return word;
  const nearest = nearestWord(word, notificationKindWords);
  const meant = nearest === undefined ? '' : ` (did you mean "${nearest}"?)`;
  throw new LockstepError(
    'usage',
    `nobody is told of "${word}"${meant}: --kind takes ${notificationKindWords.join(', ')}`,
  );
}

/** `-` is standard input; the end of the last line belongs to the file. */
function readSecretly(path: string, what: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new LockstepError('usage', `cannot read ${what} from ${path === '-' ? 'standard input' : path}`, {
      cause,
    });
  }
}

function targetOf({ webhook, keyFile, command, mail }: AddOptions): object {
  if (keyFile !== undefined && webhook === undefined)
    throw new LockstepError('usage', 'only what goes to a --webhook is signed with a key');
  if (webhook !== undefined)
    return {
      kind: 'webhook',
      url: webhook === '-' ? readSecretly('-', 'the address') : webhook,
      key: keyFile === undefined ? null : readSecretly(keyFile, 'the key'),
    };
  if (command !== undefined) return { kind: 'command', program: command };
  if (mail !== undefined) return { kind: 'mail', to: mail };
  throw new LockstepError('usage', 'say how it is told: --webhook URL, --command PROGRAM or --mail ADDRESS');
}

export async function add(name: string, options: AddOptions): Promise<number> {
  const declaration = {
    name,
    target: targetOf(options),
    filter: {
      kinds: options.kind === undefined ? null : options.kind.map(kindOf),
      clusters: options.cluster ?? [],
      pipelines: options.pipeline ?? [],
    },
  };
  return withCoordinator(options, async ({ client, terminal }) => {
    const { key, ...receiver } = await client.send('POST', '/api/receivers', declaration, receiverDeclared);
    if (options.output !== undefined) {
      terminal.printJson({ ...receiver, key });
      return exitCodes.done;
    }
    if (key !== null) {
      terminal.write(`${key}\n`);
      terminal.note('this key signs the deliveries; it is shown only now');
    }
    terminal.note(
      `${name} is told by ${targetText(receiver)} of ${receiver.filter.kinds.join(', ')}; try it with \`lockstep notify test ${name}\``,
    );
    return exitCodes.done;
  });
}

function targetText({ target }: Receiver): string {
  switch (target.kind) {
    case 'webhook':
      return target.origin;
    case 'command':
      return target.program;
    case 'mail':
      return target.to.join(',');
  }
}

export async function listed(options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(receiverList, '/api/receivers');
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0)
      terminal.note('nobody is told of anything; see `lockstep notify add --help`');
    else {
      const now = Date.now() + client.clockAheadMs;
      terminal.print(drawReceivers(items, now));
      terminal.printWhole(items.flatMap((item) => drawTroubles(item, now)));
    }
    return exitCodes.done;
  });
}

const drawReceivers = (items: readonly Receiver[], now: number): Line[] =>
  formatTable(
    [
      { head: 'RECEIVER' },
      { head: 'BY' },
      { head: 'TO' },
      { head: 'OF' },
      { head: 'TOLD', align: 'right' },
      { head: 'LAST' },
      { head: 'GIVEN UP', align: 'right' },
    ],
    items.map((item): Cell[] => [
      item.name,
      item.target.kind,
      targetText(item),
      [
        item.filter.kinds.join(','),
        ...item.filter.clusters.map((cluster) => `cluster ${cluster}`),
        ...item.filter.pipelines.map((pipeline) => `pipeline ${pipeline}`),
      ].join(' '),
      String(item.delivered),
      item.deliveredAt === null ? '' : `${formatDuration(now - Date.parse(item.deliveredAt))} ago`,
      String(item.givenUp),
    ]),
  );

function drawTroubles({ name, trying, lastGivenUp }: Receiver, now: number): Line[] {
  const lines: Line[] = [];
  if (trying !== null && trying.attempts > 0)
    lines.push(
      line(
        `${name}: not delivered for ${formatDuration(now - Date.parse(trying.at))}, tried ${trying.attempts} times: "${trying.what}": ${trying.reason ?? ''}`,
        'warn',
      ),
    );
  if (lastGivenUp !== null)
    lines.push(
      line(
        `${name}: given up ${formatDate(Date.parse(lastGivenUp.at))}: "${lastGivenUp.what}": ${lastGivenUp.reason}`,
        'bad',
      ),
    );
  return lines;
}

export async function remove(names: readonly string[], options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    for (const name of names) {
      await client.order('DELETE', `/api/receivers/${segment(name)}`);
      if (options.output === undefined) terminal.note(`${name} is told no longer`);
    }
    if (options.output !== undefined) terminal.printJson(names.map((name) => ({ name, removed: true })));
    return exitCodes.done;
  });
}

export async function test(name: string, options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const path = `/api/receivers/${segment(name)}/test`;
    const { delivered, reason } = await client.send('POST', path, {}, deliveryTest);
    if (options.output !== undefined) terminal.printJson({ name, delivered, reason });
    else terminal.note(delivered ? `${name} was told` : `${name} was not told: ${reason ?? ''}`);
    return delivered ? exitCodes.done : exitCodes.failed;
  });
}
