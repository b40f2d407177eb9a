/**
 * The program `lockstep`: declares its commands, and loads what one needs only when it is given. Here are those
 * that run or serve a coordinator; those on its data are in data-commands.ts, those of operators in cli/.
 */
import { Command } from 'commander';
import packageDescription from '../package.json' with { type: 'json' };
import { registerCommands } from './cli/program.ts';
import type { CoordinatorFlags } from './config.ts';
import { registerDataCommands } from './data-commands.ts';
import { registerRehearsal } from './rehearsal-command.ts';

const { version, description } = packageDescription;

const program = new Command('lockstep').description(description).version(version, '-V, --version');
// First: commands take the program's settings over when they are made.
registerCommands(program);
registerRehearsal(program);
registerDataCommands(program, version);

program
  .command('coordinator')
  .summary('run the coordinator')
  .description(
    'Run the coordinator: it keeps the sequence, serves operators over HTTP, and agents pull work from it.',
  )
  .option(
    '--data <dir>',
    'folder that holds everything (default: $LOCKSTEP_DATA, /var/lib/lockstep for root)',
  )
  .option('--listen <host:port>', 'address to listen on (default: 127.0.0.1:7400)')
  .option('--key <file>', 'key of the secrets, outside the data folder (default: <data>.key)')
  .option('--keep-events <duration>', 'how long the sequence can be read (default: 30d)')
  .option('--keep-event-bytes <size>', 'how large it may become (default: 4GiB)')
  .option('--keep-audit <duration>', 'how long what operators did is kept (default: 400d)')
  .option('--keep-logs <duration>', 'how long the output of jobs is kept (default: 30d)')
  .option('--keep-log-bytes <size>', 'how large it may become (default: 4GiB)')
  .option('--keep-runs <number>', 'ended runs that are not archived (default: 50)')
  .option('--programs <dir>', 'programs that `notify add --command` may name (default: <data>.programs)')
  .option('--sendmail <path>', 'what sends the mails of `notify add --mail` (default: /usr/sbin/sendmail)')
  .addHelpText(
    'after',
    `
Examples:
  lockstep coordinator                              on this machine only, in the default folder
  lockstep coordinator --listen 0.0.0.0:7400        for agents on other machines

Exit codes: 0 ended by SIGTERM or SIGINT, 2 wrong use or a folder that cannot be used, 3 no space on the disk,
70 a fault in lockstep, 74 the disk failed.`,
  )
  .action((flags: CoordinatorFlags) =>
    conclude(() => runCoordinator({ ...program.opts<CoordinatorFlags>(), ...flags })),
  );

program
  .command('snapshot', { hidden: true })
  .description('Write a snapshot of the sealed part of the journal; the coordinator starts this by itself.')
  .requiredOption('--data <dir>')
  .action(({ data }: { data: string }) =>
    conclude(async () => {
      const { writeNextSnapshot } = await import('./sequence/snapshot-writer.ts');
      const report = await writeNextSnapshot(data);
      if (report !== undefined) process.stdout.write(`${JSON.stringify(report)}\n`);
      return 0;
    }),
  );

/** A start that failed half-way leaves files and timers open, which must not keep the process alive. */
async function conclude(action: () => Promise<number>): Promise<void> {
  const outcome = await import('./cli/outcome.ts');
  await outcome.conclude(action);
  process.exit();
}

/** Resolves when it was told to end and has done so. */
async function runCoordinator(flags: CoordinatorFlags): Promise<number> {
  const { readConfig } = await import('./config.ts');
  const config = readConfig(flags, process.env);
  const ending = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const [{ startCoordinator }, { createLog }, { exitStatus }] = await Promise.all([
    import('./coordinator.ts'),
    import('./log.ts'),
    import('./exit-status.ts'),
  ]);
  const log = createLog(process.stdout);
  const onFatal = (what: keyof typeof exitStatus): void => process.exit(exitStatus[what]);
  const coordinator = await startCoordinator({ config, version, log, onFatal });
  // For whoever waits for it, on a line of its own and apart from the log.
  process.stderr.write(`listening on ${coordinator.url}\n`);
  log.info({ signal: await ending }, 'ending');
  await coordinator.close();
  return 0;
}

void program.parseAsync();
