/** Declares the commands about nodes, params, services, tokens and the journal. What they do is in commands/. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { limits } from '../../shared/limits.ts';
import { registerClusterCommands } from './cluster-commands.ts';
import { act, examples, readCount, readDuration, speaksToCoordinator } from './command-line.ts';
import type { EventsOptions } from './commands/events.ts';
import type { ImportOptions } from './commands/import.ts';
import type { Administration, NodeOptions, NodesOptions } from './commands/nodes.ts';
import type { ExplainOptions, ScopeOptions, SetOptions } from './commands/params.ts';
import type { ServicesOptions } from './commands/services.ts';
import type { CreateOptions } from './commands/tokens.ts';
import type { UpgradeOptions } from './commands/upgrade.ts';
import type { CommonOptions } from './session.ts';

function registerInventory(nodes: Command): void {
  const inherit = <T extends CommonOptions>(command: Command): T => command.optsWithGlobals<T>();
  const show = nodes
    .command('show')
    .description('Show what is known of nodes.')
    .argument('<name...>', 'n1, n[1-3]');
  speaksToCoordinator(show, ['json']).action(
    act(async (names: string[], _: unknown, command: Command) =>
      (await import('./commands/nodes.ts')).show(names, inherit<CommonOptions>(command)),
    ),
  );
  const bring = nodes
    .command('import')
    .summary('tell of machines that are to come')
    .description(
      'Tell of nodes that do not exist yet, in CSV or YAML. A machine that joins and has the serial number, UUID or MAC address of a line becomes that node, with its name and labels. Importing again changes what has changed.\n\nColumns: name; at least one of serial, uuid, mac (several with spaces between); site, rack, cluster, address, bmc; labels.KEY for further labels. In YAML the same words under "nodes:", with labels as a map.',
    )
    .argument('<file>', '*.csv, *.yaml, *.json; - is standard input')
    .option('--dry-run', 'only say what would change');
  speaksToCoordinator(bring, ['json']).action(
    act(async (file: string, _: unknown, command: Command) =>
      (await import('./commands/import.ts')).importNodes(file, inherit<ImportOptions>(command)),
    ),
  );
  examples(bring, [
    ['nodes import racks.csv --dry-run', ''],
    ['nodes import racks.csv', 'name,serial,mac,site,rack,labels.use'],
    ['nodes import racks.yaml -o json', '[{"name": …, "line": …, "change": "expected", "joined": false}]'],
  ]);
}

function registerNodes(program: Command): void {
  const nodes = program
    .command('nodes')
    .summary('list nodes')
    .description('List the nodes that have joined, and those that are expected.')
    .option('--where <selector>', 'CEL over name, labels, facts; or names like n1,n[4-6]');
  speaksToCoordinator(nodes, ['json', 'jsonl', 'wide']).action(
    act(async (options: NodesOptions) => (await import('./commands/nodes.ts')).listed(options)),
  );
  examples(nodes, [
    ['nodes', ''],
    ['nodes --where \'labels.rack == "a"\' -o wide', ''],
    ['nodes -o json | jq -r .[].name', ''],
  ]);

  registerInventory(nodes);

  const node = program
    .command('node')
    .summary('show, label or take out a node')
    .description('Show one node, label it, take it in or out of service.');
  examples(node, [
    ['node show n1', ''],
    ['node label n[1-3] rack=a use=etcd old-', 'set two labels, take one off'],
    ['node cordon n4 --reason "disk is dying"', ''],
    ['node maintenance --where \'labels.rack == "b"\'', ''],
    ['node replace n4 --reason "mainboard is dead"', 'then start the agent on the new machine'],
  ]);
  const show = node
    .command('show')
    .description('Show what is known of nodes.')
    .argument('<name...>', 'n1, n[1-3]');
  speaksToCoordinator(show, ['json']).action(
    act(async (names: string[], options: CommonOptions) =>
      (await import('./commands/nodes.ts')).show(names, options),
    ),
  );
  const label = node
    .command('label')
    .description('Set labels (KEY=VALUE) or take them off (KEY-).')
    .argument('<word...>', 'names of nodes, and labels')
    .option('--where <selector>', 'the nodes that it selects, too');
  speaksToCoordinator(label, ['json']).action(
    act(async (words: string[], options: NodeOptions) =>
      (await import('./commands/nodes.ts')).label(words, options),
    ),
  );
  const verbs: readonly (readonly [Administration, string])[] = [
    [
      'cordon',
      'Give nodes nothing new. What was granted to them goes on; they count as unavailable, so rolling steps give out fewer slots; new runs take them in and wait.',
    ],
    ['uncordon', 'Give nodes work again.'],
    [
      'maintenance',
      'Take nodes out for maintenance. For runs this is what cordon is: what was granted goes on, nothing new begins, they count as unavailable.',
    ],
    ['in-service', 'Put nodes back into service, whatever they were.'],
    ['accept', 'Take in nodes that are quarantined.'],
    [
      'retire',
      'Take nodes out for good; what is known of them stays. What was granted goes on to its end, the rest of their jobs is held for a decision, and no new run takes them in.',
    ],
  ];
  for (const [verb, description] of verbs) {
    const command = node
      .command(verb)
      .description(description)
      .argument('[name...]', 'n1, n[1-3]')
      .option('--where <selector>', 'the nodes that it selects, too')
      .option('--reason <text>', 'kept with the change, shown with the node');
    speaksToCoordinator(command, ['json']).action(
      act(async (names: string[], options: NodeOptions) =>
        (await import('./commands/nodes.ts')).administer(verb, names, options),
      ),
    );
  }
  const replace = node
    .command('replace')
    .description(
      'Give the name of a dead node to the next machine that is expected as it, or that joins by its name. Labels, params and history stay; the old machine is refused when it comes back. What it was doing is interrupted, and the rerun of the step decides; where a run had done something on it before, the run is held.',
    )
    .argument('<name...>', 'n1, n[1-3]')
    .option('--reason <text>', 'kept in the journal, and told to the old machine');
  speaksToCoordinator(replace, ['json']).action(
    act(async (names: string[], options: NodeOptions) =>
      (await import('./commands/nodes.ts')).replace(names, options),
    ),
  );
  const remove = node
    .command('rm')
    .description(
      'Forget nodes and what was expected of them: those that are away and in no unfinished run (retire the others). To come back they join anew.',
    )
    .argument('<name...>', 'n1, n[1-3]')
    .option('--reason <text>', 'kept in the journal');
  speaksToCoordinator(remove, ['json']).action(
    act(async (names: string[], options: NodeOptions) =>
      (await import('./commands/nodes.ts')).remove(names, options),
    ),
  );
}

function registerParams(program: Command): void {
  const scoped = (command: Command): Command =>
    command
      .option('--cluster <name>', 'kept for this cluster (default: default)')
      .option('--node <name>', 'kept for this node');
  const params = program
    .command('params')
    .summary('show and set params')
    .description('What params a node gets; and values kept for a cluster or a node.')
    .argument('[node]', 'the node')
    .option('--explain', 'every layer that has a value, not only the one that decides')
    .option('--run <run>', 'with what this run and its pipeline give');
  speaksToCoordinator(params, ['json']).action(
    act(async (node: string | undefined, options: ExplainOptions) => {
      const commands = await import('./commands/params.ts');
      return node === undefined ? commands.listed(options) : commands.ofNode(node, options);
    }),
  );
  examples(params, [
    ['params', 'all that are set'],
    ['params n1 --explain', 'where each value comes from'],
    ['params set version=3.4 --cluster prod', ''],
    ['params set token --secret --file token.txt', 'not seen on the command line'],
  ]);
  const inherit = <T extends CommonOptions>(command: Command): T => command.optsWithGlobals<T>();
  const list = params.command('list').description('List the values that are set.');
  scoped(speaksToCoordinator(list, ['json'])).action(
    act(async (_: unknown, command: Command) =>
      (await import('./commands/params.ts')).listed(inherit<ScopeOptions>(command)),
    ),
  );
  const set = params
    .command('set')
    .description('Set a value. Without =VALUE it comes from --file, or is asked for without echo.')
    .argument('<name[=value]>')
    .option('--secret', 'it is a secret: stored encrypted, never shown again')
    .option('--json', 'the value is JSON, not text')
    .option('--file <path>', 'the value is in this file; - is standard input');
  scoped(speaksToCoordinator(set, ['json'])).action(
    act(async (word: string, _: unknown, command: Command) =>
      (await import('./commands/params.ts')).set(word, inherit<SetOptions>(command)),
    ),
  );
  const unset = params.command('unset').description('Take a value away.').argument('<name>');
  scoped(speaksToCoordinator(unset, ['json'])).action(
    act(async (name: string, _: unknown, command: Command) =>
      (await import('./commands/params.ts')).unset(name, inherit<ScopeOptions>(command)),
    ),
  );
}

function registerServices(program: Command): void {
  const services = program
    .command('services')
    .summary('list the endpoints that steps provide')
    .description('List the endpoints that steps have provided.')
    .option('--cluster <name>', 'only those of this cluster');
  speaksToCoordinator(services, ['json']).action(
    act(async (options: ServicesOptions) => (await import('./commands/services.ts')).services(options)),
  );
  examples(services, [['services -o json', '']]);
}

function registerTokens(program: Command): void {
  const token = program
    .command('token')
    .summary('make, list and revoke tokens')
    .description('Make, list and revoke the tokens of agents and operators.');
  examples(token, [
    ['token create', 'for agents to join with'],
    ['token create -o json', '{"id": …, "token": …}'],
    ['token create --kind operator --expires 24h', 'for this command line elsewhere'],
  ]);
  const create = token
    .command('create')
    .description('Make a token. It is shown this once.')
    .addOption(new Option('--kind <kind>', 'who may use it').choices(['join', 'operator']).default('join'))
    .option('--expires <duration>', 'it ends after so long (default: never)', readDuration);
  speaksToCoordinator(create, ['json']).action(
    act(async (options: CreateOptions) => (await import('./commands/tokens.ts')).create(options)),
  );
  const list = token.command('list').description('List tokens, without their secrets.');
  speaksToCoordinator(list, ['json']).action(
    act(async (options: CommonOptions) => (await import('./commands/tokens.ts')).listed(options)),
  );
  const revoke = token
    .command('revoke')
    .description('Make tokens worthless.')
    .argument('<id...>', 'see `token list`');
  speaksToCoordinator(revoke, ['json']).action(
    act(async (ids: string[], options: CommonOptions) =>
      (await import('./commands/tokens.ts')).revoke(ids, options),
    ),
  );
}

function registerUpgrade(program: Command): void {
  const upgrade = program
    .command('upgrade')
    .summary('upgrade agents')
    .description('Give nodes another version of the agent; their jobs go on meanwhile.');
  const agents = upgrade
    .command('agents')
    .description(
      'Offer a file as the agent. One node takes it first, then a few at a time; when it fails on one, nobody else is asked.',
    )
    .requiredOption('--file <path>', 'the program, one file')
    .requiredOption('--version <version>', 'what it says to --version')
    .option('--where <selector>', 'only for the nodes that it selects: CEL, or names like n[1-3]')
    .option('--max <number>', 'nodes at once, after the first one', readCount, limits.upgradesAtOnceDefault)
    .option(
      '--within <duration>',
      'time for it to become healthy, before a node goes back (default: 2m)',
      readDuration,
      limits.upgradeTrialDefaultMs,
    );
  speaksToCoordinator(agents, ['json']).action(
    act(async (options: UpgradeOptions) => (await import('./commands/upgrade.ts')).offerAgents(options)),
  );
  examples(upgrade, [
    ['upgrade agents --file lockstep-agent-x64 --version 0.3.0', ''],
    ['upgrade agents --file lockstep-agent-x64 --version 0.3.0 --where \'labels.site == "lab"\' --max 1', ''],
  ]);
}

function registerJournal(program: Command): void {
  const events = program
    .command('events')
    .summary('read the journal')
    .description('Print what is in the journal, and with -f what comes.')
    .option('--since <seq>', 'after this seq, or a cursor LINEAGE:SEQ (default: the beginning; with -f: now)')
    .option('-f, --follow', 'go on as it grows, also after broken connections')
    .option('--run <run>', 'only what is about this run')
    .option('--node <node>', 'only what is about this node');
  speaksToCoordinator(events, ['json', 'jsonl']).action(
    act(async (options: EventsOptions) => (await import('./commands/events.ts')).events(options)),
  );
  examples(events, [
    ['events -f', ''],
    ['events --since 1200 -o jsonl | jq .type', ''],
  ]);
}

export function registerNodeCommands(program: Command): void {
  program.commandsGroup('Nodes and values:');
  registerNodes(program);
  registerClusterCommands(program);
  registerParams(program);
  registerServices(program);
  program.commandsGroup('Coordinator:');
  registerTokens(program);
  registerUpgrade(program);
  registerJournal(program);
}
