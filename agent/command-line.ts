/** The words of `lockstep-agent` and their help. What they do is handed in, so that this only parses. */
import { Command } from 'commander';
import type { RunOptions } from './config.ts';

export type Actions = {
  readonly run: (options: RunOptions) => Promise<void>;
  readonly facts: (options: { readonly output: string }) => Promise<void>;
};

const examples = `
Examples:
  LOCKSTEP_TOKEN=… lockstep-agent run --coordinator http://10.0.0.1:7600 --state /var/lib/lockstep-agent
  lockstep-agent run --coordinator https://a:7600,https://b:7600 --state /var/lib/lockstep-agent \\
      --token-file /etc/lockstep/token --name db-1 --label rack=r1 --label use=etcd
  lockstep-agent facts -o json

HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured for everything that goes to the coordinator, as a CONNECT
tunnel; the proxy has to allow it to the coordinator's port. Jobs do not get to see them.

The agent needs a POSIX /bin/sh and the programs setsid and flock (util-linux or busybox). Jobs go on when it
is stopped or killed; the next start takes them up again. Under systemd use KillMode=process and Delegate=yes.

Exit codes: 0 stopped, 2 wrong use or refused by the coordinator, 3 the disk is full or damaged, 130 interrupted.`;

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function commandLine(version: string, actions: Actions): Command {
  const program = new Command('lockstep-agent')
    .description('Joins this host to a Lockstep coordinator and runs the jobs that it pulls.')
    .version(version, '-V, --version')
    .addHelpText('after', examples)
    .showHelpAfterError('(see lockstep-agent --help)')
    .exitOverride();
  program
    .command('run')
    .description('link to the coordinator and run jobs until stopped')
    .requiredOption('--coordinator <url[,url]>', 'where the coordinator is; several are tried in turn')
    .requiredOption('--state <folder>', 'what the agent must not forget; one agent per folder')
    .option('--name <name>', 'name of the node (default: the hostname in small letters)')
    .option('--label <key=value>', 'label of the node; may be given again', collect, [])
    .option('--token-file <file>', 'file that holds the token to join with')
    .option(
      '--token <token>',
      'the token itself; others on this host can see it: prefer file or LOCKSTEP_TOKEN',
    )
    .option(
      '--uplink <bytes>',
      'send at most so many bytes per second, such as 64k or 2M; logs and files wait, results never do (or LOCKSTEP_UPLINK)',
    )
    .option('--ephemeral', 'the state folder does not survive a reboot of this host')
    .option(
      '--reboot-command <command>',
      'how a job that asks for it reboots this host, or none (default: $LOCKSTEP_REBOOT_COMMAND, for root what the host has)',
    )
    .addHelpText('after', examples)
    .exitOverride()
    .action(actions.run);
  program
    .command('facts')
    .description('print what the agent finds out about this host')
    .option('-o, --output <format>', 'json or text', 'text')
    .exitOverride()
    .action(actions.facts);
  return program;
}
