/** Declares `lockstep notify`. What it does is in commands/notify.ts, loaded when it is asked for. */
import { type Command, Option } from 'commander';
import { act, collect, examples, speaksToCoordinator } from './command-line.ts';
import type { AddOptions } from './commands/notify.ts';
import type { CommonOptions } from './session.ts';

export function registerNotifyCommands(program: Command): void {
  const notify = program
    .command('notify')
    .summary('tell somebody what happens')
    .description(
      'Say who is told when a run is held, has failed or waits for an approval, or a node is quarantined: by a webhook, a program on the coordinator’s machine, or mail. Each notification is delivered at least once, also when the receiver or the coordinator is away for hours.',
    );
  examples(notify, [
    ['notify add chat --webhook https://hooks.example/T0/B0', 'the address is kept secret'],
    ['notify add night --mail ops@example.org --cluster prod --kind held --kind failed', ''],
    ['notify add pager --command page.sh', 'a file in the folder that `coordinator --programs` names'],
    ['notify test chat', ''],
    ['notify list', 'who is told, and what could not be delivered'],
  ]);
  const add = notify
    .command('add')
    .description('Declare a receiver. It is told what happens from now on.')
    .argument('<name>', 'what you call it')
    .addOption(
      new Option('--webhook <url>', 'POST JSON to this address; - reads it from standard input').conflicts([
        'command',
        'mail',
      ]),
    )
    .option('--key-file <path>', 'sign with the key in this file (default: one is made and shown once)')
    .addOption(
      new Option('--command <program>', 'run this program of the coordinator’s, JSON on its input').conflicts(
        'mail',
      ),
    )
    .option('--mail <address>', 'send mail; may stand more than once', collect)
    .option(
      '--kind <kind>',
      'only of this kind; may stand more than once (default: held, failed, waiting-for-approval, not-started, quarantined)',
      collect,
    )
    .option('--cluster <name>', 'only of this cluster; may stand more than once', collect)
    .option('--pipeline <glob>', 'only of pipelines like this; may stand more than once', collect);
  speaksToCoordinator(add, ['json']).action(
    act(async (name: string, options: AddOptions) =>
      (await import('./commands/notify.ts')).add(name, options),
    ),
  );
  const list = notify.command('list').description('List receivers, and how far they have been told.');
  speaksToCoordinator(list, ['json']).action(
    act(async (options: CommonOptions) => (await import('./commands/notify.ts')).listed(options)),
  );
  const rm = notify
    .command('rm')
    .description('Tell these no longer.')
    .argument('<name...>', 'see `notify list`');
  speaksToCoordinator(rm, ['json']).action(
    act(async (names: string[], options: CommonOptions) =>
      (await import('./commands/notify.ts')).remove(names, options),
    ),
  );
  const test = notify
    .command('test')
    .description('Deliver a test, now, and say what became of it.')
    .argument('<name>', 'see `notify list`');
  speaksToCoordinator(test, ['json']).action(
    act(async (name: string, options: CommonOptions) =>
      (await import('./commands/notify.ts')).test(name, options),
    ),
  );
}
