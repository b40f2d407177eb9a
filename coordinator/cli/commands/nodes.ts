/** `lockstep nodes`, `lockstep node …`: which nodes there are, what is known of one, and what operators do to them. */
import { LockstepError } from '../../../shared/errors.ts';
import { factsSchema } from '../../../shared/facts.ts';
import { nodePage, node as nodeSchema } from '../../http/resources.ts';
import type { CoordinatorClient } from '../client.ts';
import { exitCodes } from '../outcome.ts';
import { nodeStateSpan } from '../render/glyphs.ts';
import type { Line } from '../render/line.ts';
import { describe, formatLabels, listNodes } from '../render/lists.ts';
import { formatAge, formatBytes, formatDate } from '../render/measures.ts';
import { expandNames, selectorOf } from '../render/node-names.ts';
import type { Cell } from '../render/table.ts';
import type { Node } from '../resources.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export type NodesOptions = CommonOptions & { readonly where?: string };

export type NodeOptions = CommonOptions & { readonly reason?: string; readonly where?: string };

export async function listed(options: NodesOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const where = options.where === undefined ? undefined : selectorOf(options.where);
    const nodes: Node[] = [];
    for await (const node of client.list(nodePage, '/api/nodes', {
      where,
      facts: options.output !== undefined,
    })) {
      if (options.output === 'jsonl') terminal.printJsonLine(node);
      else nodes.push(node);
    }
    if (options.output === 'json') terminal.printJson(nodes);
    else if (options.output !== 'jsonl' && nodes.length > 0)
      terminal.print(listNodes(nodes, Date.now() + client.clockAheadMs, options.output === 'wide'));
    else if (options.output !== 'jsonl')
      terminal.note(
        where === undefined
          ? 'no node has joined yet: make a token with `lockstep token create`, then start `lockstep-agent run` on a host'
          : `no node matches ${where}`,
      );
    return exitCodes.done;
  });
}

/** What is known of a host, in a few lines; everything is in `-o json`. */
function describeFacts(facts: unknown): [string, Cell][] {
  const known = factsSchema.safeParse(facts);
  if (!known.success)
    return [['facts', facts === null || facts === undefined ? 'not reported yet' : 'see -o json']];
  const { hostname, system, cpu, memory, os, kernel, disks, interfaces } = known.data;
  const make = [system.vendor, system.product].filter((word) => word !== undefined).join(' ');
  const rows: [string, Cell][] = [
    ['hostname', hostname],
    ...(make === '' ? [] : [['system', make] as [string, Cell]]),
    ['cpu', `${cpu.threads} threads, ${cpu.model ?? cpu.architecture}`],
    ['memory', formatBytes(memory.totalBytes)],
    ['os', `${os.name}, kernel ${kernel.release}`],
  ];
  for (const { name, sizeBytes, model } of disks)
    rows.push([`disk ${name}`, `${formatBytes(sizeBytes)}${model === undefined ? '' : `, ${model}`}`]);
  for (const { name, addresses, up } of interfaces)
    rows.push([
      `interface ${name}`,
      `${up ? 'up' : 'down'}${addresses.map(({ address, prefixLength }) => `, ${address}/${prefixLength}`).join('')}`,
    ]);
  return rows;
}

/** Why an operator took it out, who and when. */
function becauseText({
  administration,
  administrationReason: reason,
  administrationBy: by,
  administrationSince: since,
}: Node): string {
  const who = by === '' ? '' : `, by ${by.replace(/^operator:/, '')}`;
  const when = since === null ? '' : ` since ${formatDate(Date.parse(since))}`;
  return `${reason || administration}${who}${when}`;
}

const hardwareText = ({ serial, uuid, macs }: NonNullable<Node['hardware']>): string =>
  [
    ...(serial === undefined ? [] : [`serial ${serial}`]),
    ...(uuid === undefined ? [] : [`uuid ${uuid}`]),
    ...(macs ?? []).map((mac) => `mac ${mac}`),
  ].join(', ');

function describeExpectation({ expectation, hardware, vacancy, unmet }: Node): [string, Cell][] {
  const rows: [string, Cell][] = [];
  if (hardware !== null) rows.push(['machine', hardwareText(hardware)]);
  if (vacancy !== null) {
    const why = vacancy.reason === '' ? '' : `: ${vacancy.reason}`;
    rows.push([
      'replaced',
      `by ${vacancy.by} at ${formatDate(Date.parse(vacancy.since))}${why}; the next machine takes the name`,
    ]);
  }
  if (unmet !== null) rows.push(['not expected', unmet]);
  if (expectation === null) return rows;
  const { serial, uuid, macs, address, bmc, by } = expectation;
  const marks = { serial: serial ?? undefined, uuid: uuid ?? undefined, macs };
  rows.push(['expected', `as ${hardwareText(marks)}, by ${by}`]);
  if (address !== null) rows.push(['expected at', address]);
  if (bmc !== null) rows.push(['bmc', bmc]);
  return rows;
}

function formerText({
  incarnation,
  hardware,
  version,
  from,
  until,
  replaced,
}: Node['formers'][number]): string {
  const span = `${formatDate(Date.parse(from))} to ${formatDate(Date.parse(until))}`;
  const machine = hardware === null || hardwareText(hardware) === '' ? '' : `, ${hardwareText(hardware)}`;
  const why =
    replaced === null
      ? 'came back without its state'
      : `replaced by ${replaced.by}${replaced.reason === '' ? '' : `: ${replaced.reason}`}`;
  return `incarnation ${incarnation}, agent ${version}${machine}, ${span}; ${why}`;
}

function describeNode(node: Node, now: number): Line[] {
  const { contact, contactSince, administration } = node;
  const since = `${formatAge(now - Date.parse(contactSince))} (since ${formatDate(Date.parse(contactSince))})`;
  return describe([
    ['name', node.name],
    ['state', [nodeStateSpan(node.state)]],
    ...(administration === 'in-service' ? [] : [['because', becauseText(node)] as [string, Cell]]),
    ['contact', node.incarnation === '' ? `none yet, expected for ${since}` : `${contact} for ${since}`],
    ['cluster', node.cluster],
    ['platform', node.platform ?? ''],
    ['labels', formatLabels(node.labels)],
    ['address', node.address ?? ''],
    ['job', node.job ?? ''],
    ['runs', node.runs.join(', ')],
    [
      'agent',
      node.incarnation === ''
        ? ''
        : `${node.version}, incarnation ${node.incarnation}${node.diskless ? ', diskless' : ''}`,
    ],
    ...(node.upgrade === null
      ? []
      : [
          [
            'upgrade',
            `${node.upgrade.version} ${node.upgrade.state}${node.upgrade.reason === null ? '' : `: ${node.upgrade.reason}`}`,
          ] as [string, Cell],
        ]),
    ['machine id', node.machineId ?? ''],
    ['joined', node.joinedAt === null ? 'not yet' : formatDate(Date.parse(node.joinedAt))],
    ...describeExpectation(node),
    ...node.formers.map((former): [string, Cell] => ['formerly', formerText(former)]),
    ...describeFacts(node.facts),
  ]);
}

/** Names as given, folded lists written out. */
function namesIn(words: readonly string[]): string[] {
  return words.flatMap((word) => {
    const names = expandNames(word);
    if (names === undefined)
      throw new LockstepError('usage', `"${word}" is not a node's name, nor a list like n[1-5]`);
    return names;
  });
}

/** The named nodes and those that `--where` selects; at least one. */
async function chosen(
  client: CoordinatorClient,
  words: readonly string[],
  where: string | undefined,
): Promise<string[]> {
  const names = namesIn(words);
  if (where !== undefined)
    for await (const { name } of client.list(nodePage, '/api/nodes', {
      where: selectorOf(where),
      facts: false,
    }))
      names.push(name);
  if (names.length === 0)
    throw new LockstepError(
      'usage',
      where === undefined
        ? 'name a node, or select some with --where'
        : `no node matches ${selectorOf(where)}`,
    );
  return [...new Set(names)];
}

export async function show(words: readonly string[], options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const nodes: Node[] = [];
    for (const name of namesIn(words))
      nodes.push(await client.read(nodeSchema, `/api/nodes/${segment(name)}`));
    if (options.output !== undefined) terminal.printJson(nodes.length === 1 ? nodes[0] : nodes);
    else
      nodes.forEach((node, index) => {
        if (index > 0) terminal.print([[]]);
        terminal.print(describeNode(node, Date.now() + client.clockAheadMs));
      });
    return exitCodes.done;
  });
}

/** The same change for each chosen node; what was done is told node by node, as it is done. */
async function changeEach(
  words: readonly string[],
  options: NodeOptions,
  done: string,
  change: (client: CoordinatorClient, name: string) => Promise<Node | undefined>,
): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const changed: unknown[] = [];
    for (const name of await chosen(client, words, options.where)) {
      const node = await change(client, name);
      changed.push(node ?? { name });
      if (options.output === undefined) terminal.print([[{ text: `${name} ${done}`, style: 'plain' }]]);
    }
    if (options.output !== undefined) terminal.printJson(changed.length === 1 ? changed[0] : changed);
    return exitCodes.done;
  });
}

const administrations = {
  cordon: { administration: 'cordoned', done: 'is cordoned: it finishes what it does and gets nothing new' },
  uncordon: { administration: 'in-service', done: 'is in service' },
  maintenance: {
    administration: 'maintenance',
    done: 'is in maintenance: it counts as unavailable and gets nothing new',
  },
  'in-service': { administration: 'in-service', done: 'is in service' },
  accept: { administration: 'in-service', done: 'is accepted and in service' },
  retire: { administration: 'retired', done: 'is retired: it takes no part in any new run' },
} as const;
export type Administration = keyof typeof administrations;

export function administer(
  verb: Administration,
  words: readonly string[],
  options: NodeOptions,
): Promise<number> {
  const { administration, done } = administrations[verb];
  const body = { administration, reason: options.reason ?? '' };
  return changeEach(words, options, done, (client, name) =>
    client.send('POST', `/api/nodes/${segment(name)}/administration`, body, nodeSchema),
  );
}

export const remove = (words: readonly string[], options: NodeOptions): Promise<number> =>
  changeEach(words, options, 'is removed: it would have to join anew', async (client, name) => {
    await client.order('DELETE', `/api/nodes/${segment(name)}`, { query: { reason: options.reason } });
    return undefined;
  });

/** `key=value` sets a label, `key-` takes it off; the other words name nodes. */
export function readLabelWords(words: readonly string[]): {
  nodes: string[];
  labels: Record<string, string | null>;
} {
  const nodes: string[] = [];
  const labels: Record<string, string | null> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals > 0) labels[word.slice(0, equals)] = word.slice(equals + 1);
    else if (word.length > 1 && word.endsWith('-')) labels[word.slice(0, -1)] = null;
    else nodes.push(word);
  }
  if (Object.keys(labels).length === 0)
    throw new LockstepError('usage', 'say which label: KEY=VALUE sets it, KEY- takes it off');
  return { nodes, labels };
}

export const replace = (words: readonly string[], options: NodeOptions): Promise<number> =>
  changeEach(
    words,
    options,
    'waits for another machine: the next one that is expected as it or joins by its name; keep the old one off',
    (client, name) =>
      client.send(
        'POST',
        `/api/nodes/${segment(name)}/replacement`,
        { reason: options.reason ?? '' },
        nodeSchema,
      ),
  );

export function label(words: readonly string[], options: NodeOptions): Promise<number> {
  const { nodes, labels } = readLabelWords(words);
  const done = `has ${Object.entries(labels)
    .map(([key, value]) => (value === null ? `no label ${key}` : `${key}=${value}`))
    .join(', ')}`;
  return changeEach(nodes, options, done, (client, name) =>
    client.send('PATCH', `/api/nodes/${segment(name)}/labels`, { labels }, nodeSchema),
  );
}
