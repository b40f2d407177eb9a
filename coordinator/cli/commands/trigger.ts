/** `lockstep trigger`: what starts runs by itself. */
import type * as z from 'zod';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { formatDuration as durationText, parseDuration } from '../../../shared/pipeline/duration.ts';
import {
  triggerDeclared,
  triggerFired,
  triggerList,
  type trigger as triggerSchema,
} from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type Line, line } from '../render/line.ts';
import { formatDate, formatDuration, inLocalTime } from '../render/measures.ts';
import { selectorOf } from '../render/node-names.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';
import { readPipelineFile } from '../submission.ts';
import { type RunOptions, submit } from './run.ts';

export type AddOptions = RunOptions & {
  readonly cron?: string;
  readonly timezone?: string;
  readonly onJoin?: string;
  readonly onService?: string;
  readonly onWebhook?: boolean;
  readonly onlyNew?: boolean;
  readonly atMostEvery: string;
};

type Trigger = z.infer<typeof triggerSchema>;

function causeOf({ cron, timezone, onJoin, onService, onWebhook, onlyNew }: AddOptions): Trigger['on'] {
  if (timezone !== undefined && cron === undefined)
    throw new LockstepError('usage', '--timezone is that of --cron, and there is none');
  if (onlyNew === true && onJoin === undefined)
    throw new LockstepError('usage', '--only-new belongs to --on-join, and there is none');
  if (cron !== undefined)
    return {
      kind: 'cron',
      cron,
      timezone: timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
  if (onJoin !== undefined) return { kind: 'join', where: selectorOf(onJoin) };
  if (onService !== undefined) return { kind: 'service', service: onService };
  if (onWebhook === true) return { kind: 'webhook' };
  throw new LockstepError(
    'usage',
    'say what it waits for: --cron TIMES, --on-join SELECTOR, --on-service NAME or --on-webhook',
  );
}

export async function add(name: string, path: string, options: AddOptions): Promise<number> {
  const on = causeOf(options);
  const file = readPipelineFile(path, options.modules);
  return withCoordinator(options, async (session) => {
    const { client, terminal } = session;
    const declaration = {
      name,
      on,
      atMostEveryMs: parseDuration(options.atMostEvery),
      onlyNew: options.onlyNew === true,
      submission: await submit(session, file, options),
    };
    const { key, ...trigger } = await client.send('POST', '/api/triggers', declaration, triggerDeclared);
    for (const warning of file.warnings) terminal.note(formatDiagnostic(warning));
    if (options.output !== undefined) {
      terminal.printJson({ ...trigger, key });
      return exitCodes.done;
    }
    if (key !== null) {
      terminal.write(`${client.connection.url}/hooks/${name}/${key}\n`);
      terminal.note('POST to this address; it is shown only now, and whoever knows it can start the run');
    }
    terminal.note(`${inLocalTime(trigger.sentence)}; start it now with \`lockstep trigger fire ${name}\``);
    return exitCodes.done;
  });
}

function causeText({ on }: Trigger): string {
  switch (on.kind) {
    case 'cron':
      return `${on.cron} (${on.timezone})`;
    case 'join':
      return `join ${on.where}`;
    case 'service':
      return `service ${on.service}`;
    case 'webhook':
      return 'webhook';
  }
}

export async function listed(options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(triggerList, '/api/triggers');
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0) terminal.note('nothing starts by itself; see `lockstep trigger add --help`');
    else {
      terminal.print(drawTriggers(items, Date.now() + client.clockAheadMs));
      terminal.printWhole(items.flatMap(drawFailure));
    }
    return exitCodes.done;
  });
}

const drawTriggers = (items: readonly Trigger[], now: number): Line[] =>
  formatTable(
    [
      { head: 'TRIGGER' },
      { head: 'PIPELINE' },
      { head: 'ON' },
      { head: 'AT MOST EVERY' },
      { head: 'NEXT' },
      { head: 'LAST RUN' },
    ],
    items.map((item): Cell[] => [
      item.name,
      item.pipeline,
      causeText(item),
      durationText(item.atMostEveryMs),
      item.nextAt === null ? '' : formatDate(Date.parse(item.nextAt)),
      item.lastRun === null
        ? ''
        : `${item.lastRun.run}, ${formatDuration(now - Date.parse(item.lastRun.at))} ago`,
    ]),
  );

const drawFailure = ({ name, lastFailure }: Trigger): Line[] =>
  lastFailure === null
    ? []
    : [line(`${name}: started none ${formatDate(Date.parse(lastFailure.at))}: ${lastFailure.reason}`, 'bad')];

export async function fire(name: string, options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { run } = await client.send('POST', `/api/triggers/${segment(name)}/fire`, {}, triggerFired);
    if (options.output !== undefined) terminal.printJson({ name, run });
    else terminal.write(`${name} has started ${run}. Watch it with: lockstep watch ${run}\n`);
    return exitCodes.done;
  });
}

export async function remove(names: readonly string[], options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    for (const name of names) {
      await client.order('DELETE', `/api/triggers/${segment(name)}`);
      if (options.output === undefined) terminal.note(`${name} starts nothing any more`);
    }
    if (options.output !== undefined) terminal.printJson(names.map((name) => ({ name, removed: true })));
    return exitCodes.done;
  });
}
