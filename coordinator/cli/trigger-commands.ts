/** Declares `lockstep trigger`. What it does is in commands/trigger.ts, loaded when it is asked for. */
import { type Command, Option } from 'commander';
import { act, checkDuration, examples, speaksToCoordinator } from './command-line.ts';
import type { AddOptions } from './commands/trigger.ts';
import { submits } from './run-commands.ts';
import type { CommonOptions } from './session.ts';

export function registerTriggerCommands(program: Command): void {
  const trigger = program
    .command('trigger')
    .summary('start runs by themselves')
    .description(
      'Say what starts a run of a pipeline by itself: a time, a node that joins, a service, or a call from outside. The pipeline is read now, with its files; to change it, take the trigger away and add it anew.',
    );
  examples(trigger, [
    ["trigger add nightly renew.yaml --cron '0 2 * * *' --timezone Europe/Berlin", ''],
    ['trigger add welcome base.yaml --on-join \'labels.use == "edge"\' --only-new', ''],
    ['trigger add members join-etcd.yaml --on-service etcd --at-most-every 10m', ''],
    ['trigger add deploy deploy.yaml --on-webhook', 'prints the address to call, once'],
    ['trigger list', 'what each waits for, and what came of it'],
    ['why nightly', ''],
  ]);
  const kinds = ['cron', 'onJoin', 'onService', 'onWebhook'];
  const kind = (flags: string, text: string, own: string): Option =>
    new Option(flags, text).conflicts(kinds.filter((other) => other !== own));
  const add = trigger
    .command('add')
    .description('Declare a trigger.')
    .argument('<name>', 'what you call it')
    .argument('<file>', 'the pipeline, YAML')
    .addOption(kind('--cron <times>', 'at these times: minute hour day month weekday', 'cron'))
    .option('--timezone <zone>', 'of the times, like Europe/Berlin (default: the one of this machine)')
    .addOption(kind('--on-join <selector>', 'when a node comes into contact that this fits', 'onJoin'))
    .addOption(kind('--on-service <name>', 'when a node provides this service anew', 'onService'))
    .addOption(kind('--on-webhook', 'when its address is called (POST)', 'onWebhook'))
    .option('--only-new', 'with --on-join: only on the nodes that have joined')
    .option('--at-most-every <duration>', 'what happens sooner counts for the next run', checkDuration, '1m')
    .option('--check', 'execute only the checks');
  submits(speaksToCoordinator(add, ['json'])).action(
    act(async (name: string, file: string, options: AddOptions) =>
      (await import('./commands/trigger.ts')).add(name, file, options),
    ),
  );
  const list = trigger
    .command('list')
    .description('List triggers, what they wait for and what came of them.');
  speaksToCoordinator(list, ['json']).action(
    act(async (options: CommonOptions) => (await import('./commands/trigger.ts')).listed(options)),
  );
  const fire = trigger
    .command('fire')
    .description('Start its run now.')
    .argument('<name>', 'see `trigger list`');
  speaksToCoordinator(fire, ['json']).action(
    act(async (name: string, options: CommonOptions) =>
      (await import('./commands/trigger.ts')).fire(name, options),
    ),
  );
  const rm = trigger
    .command('rm')
    .description('Take triggers away. Runs that they have started go on.')
    .argument('<name...>', 'see `trigger list`');
  speaksToCoordinator(rm, ['json']).action(
    act(async (names: string[], options: CommonOptions) =>
      (await import('./commands/trigger.ts')).remove(names, options),
    ),
  );
}
