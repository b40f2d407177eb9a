/**
 * Declares the commands that work on a coordinator's data folder itself, on its own machine: backup, restore and
 * doctor. Like all declarations they are light; what they do is in backup/ and doctor/.
 */
import path from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { act, collect, examples, readCount } from './cli/command-line.ts';
import { defaultDataFolder } from './cli/connection.ts';
import { Terminal } from './cli/terminal.ts';

type DataOptions = { readonly data?: string; readonly key?: string; readonly output?: 'json' };

type Places = { readonly dataFolder: string; readonly keyFile: string };

function placesOf({ data, key }: DataOptions): Places {
  const dataFolder = path.resolve(data || process.env.LOCKSTEP_DATA || defaultDataFolder(process.env));
  return { dataFolder, keyFile: path.resolve(key ?? `${dataFolder}.key`) };
}

const worksOnData = (command: Command): Command =>
  command
    .option('--data <dir>', 'data folder of the coordinator (default: $LOCKSTEP_DATA)')
    .option('--key <file>', 'key of the secrets (default: <data>.key)')
    .addOption(new Option('-o, --output <format>', 'another form of output, for programs').choices(['json']));

type BackupFlags = DataOptions & {
  readonly to?: string;
  readonly withoutLogs?: boolean;
  readonly withKey?: boolean;
};

export function registerDataCommands(program: Command, version: string): void {
  program.commandsGroup('Coordinator:');
  registerBackup(program, version);
  registerRestore(program);
  registerDoctor(program);
}

function registerBackup(program: Command, version: string): void {
  const backup = worksOnData(
    program
      .command('backup')
      .summary('copy all data, also while the coordinator runs')
      .description(
        'Copy the data folder as it is at one seq, whether the coordinator runs or not, into a folder with a manifest.',
      )
      .option('--to <dir>', 'folder of the backup (default: <data>.backups/<time>)')
      .option('--without-logs', 'leave out what jobs printed')
      .option('--with-key', 'put the key of the secrets into it: whoever has the backup can then read them'),
  ).action(
    act(async (flags: BackupFlags) => {
      const { backUp } = await import('./backup/commands.ts');
      return backUp({ ...placesOf(flags), ...flags, version }, new Terminal());
    }),
  );
  examples(backup, [
    ['backup', 'beside the data folder, by its time'],
    ['backup --to /mnt/safe/monday --without-logs', ''],
    ['backup --to /tmp/b && tar -cf - -C /tmp b | ssh safe "cat >b.tar"', 'as one file, elsewhere'],
  ]);
}

type RestoreFlags = DataOptions & { readonly replace?: boolean };

function registerRestore(program: Command): void {
  const restore = worksOnData(
    program
      .command('restore')
      .summary('put a backup in place')
      .description(
        'Verify a backup and make it the data folder of a coordinator. What happened after it was taken is not in it: unfinished runs are held until you have looked at what their nodes say.',
      )
      .argument('<backup>', 'folder that `lockstep backup` made')
      .option('--replace', 'move a data folder that is in the way aside (it is never deleted)'),
  ).action(
    act(async (from: string, flags: RestoreFlags) => {
      const { restore } = await import('./backup/commands.ts');
      return restore(from, { ...placesOf(flags), ...flags }, new Terminal());
    }),
  );
  examples(restore, [
    ['restore /mnt/safe/monday --data /var/lib/lockstep', ''],
    ['restore /mnt/safe/monday --data /var/lib/lockstep --replace', 'over what is there'],
  ]);
}

type DoctorFlags = DataOptions & {
  readonly cut?: number;
  readonly forget?: number;
  readonly address?: readonly string[];
};

function registerDoctor(program: Command): void {
  const doctor = worksOnData(
    program
      .command('doctor')
      .summary('look for what is wrong with the data')
      .description(
        'Check journal, snapshots, blobs, secrets, logs, backups that were not finished, disk, clock, file modes, certificates and links; say what is wrong, where, and what to do. Nothing is changed, and the coordinator may run. Ends with 1 when there is something to mend.',
      )
      .option(
        '--address <url>',
        'https address that agents use, whose certificate is looked at (default: $LOCKSTEP_URL); may stand more than once',
        collect,
      )
      .option('--cut <seq>', 'give up the journal from this damaged event on, as after a restore', readCount)
      .option(
        '--forget <seq>',
        'give up the history up to this damage in a compressed part; the state stays',
        readCount,
      ),
  ).action(
    act(async (flags: DoctorFlags) => {
      const { doctor } = await import('./doctor/commands.ts');
      return doctor({ ...placesOf(flags), ...flags }, new Terminal());
    }),
  );
  examples(doctor, [
    ['doctor', 'also while the coordinator runs'],
    ['doctor --data /var/lib/lockstep -o json', ''],
    ['doctor --address https://lockstep.example.org', 'and the certificate there'],
    ['doctor --cut 4711', 'when there is no backup: lose seq 4711 and all after it'],
  ]);
}
