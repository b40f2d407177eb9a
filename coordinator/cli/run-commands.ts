/** Declares the commands about pipelines and runs. What they do is in commands/, loaded when it is asked for. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { act, checkDuration, collect, examples, readCount, speaksToCoordinator } from './command-line.ts';
import type { ReasonOptions, ResumeOptions } from './commands/decide.ts';
import type { ExecOptions } from './commands/exec.ts';
import type { LogsOptions } from './commands/logs.ts';
import type { PlanOptions, RunOptions } from './commands/run.ts';
import type { RunsOptions } from './commands/runs.ts';
import type { CommonOptions } from './session.ts';

/** What a submission of a pipeline may say, also when it is only planned or rehearsed. */
export function submits(command: Command): Command {
  return command
    .option('--param <name=value>', 'value of a param; may stand more than once', collect)
    .option('--param-file <path>', 'params from a YAML or JSON file; may stand more than once', collect)
    .option('--cluster <name>', 'the cluster to work on', 'default')
    .option('--limit <selector>', 'narrow every role: CEL over name, labels, facts, or names like n1,n[4-6]')
    .option('--modules <dir>', 'folder of modules (default: modules/ beside the file)');
}

const beginsAnywhere = (command: Command): Command =>
  command.option('--from <step>', 'begin at this step or group: those before it are skipped');

function registerStarting(program: Command): void {
  const run = program
    .command('run')
    .summary('run a pipeline')
    .description(
      'Run a pipeline. Params that are not given come from LOCKSTEP_PARAM_<NAME>; secret ones that nothing gives are asked for without echo.',
    )
    .argument('<file>', 'the pipeline, YAML')
    .option('-w, --watch', 'follow the run until it ends or needs a decision')
    .option('--check', 'execute only the checks: what would change, without changing it');
  beginsAnywhere(submits(speaksToCoordinator(run, ['json', 'jsonl']))).action(
    act(async (file: string, options: RunOptions) => (await import('./commands/run.ts')).run(file, options)),
  );
  examples(run, [
    ['run etcd.yaml --watch', 'run it and see it go'],
    ['run etcd.yaml --param version=3.4 --limit \'labels.rack == "a"\'', ''],
    ['run etcd.yaml --check --watch', 'what would change'],
    ['run etcd.yaml --from upgrade', 'the steps before upgrade are skipped'],
  ]);

  const plan = program
    .command('plan')
    .summary('show what a pipeline would do')
    .description('Show order, waves, slots, nodes, gates and how many nodes go down at once. Nothing is run.')
    .argument('<file>', 'the pipeline, YAML')
    .option('--explain', 'only compare it with the pipeline that it extends; needs no coordinator');
  beginsAnywhere(submits(speaksToCoordinator(plan, ['json']))).action(
    act(async (file: string, options: PlanOptions) =>
      (await import('./commands/run.ts')).plan(file, options),
    ),
  );
  examples(plan, [
    ['plan etcd.yaml', ''],
    ['plan sites/berlin.yaml --explain', 'what this site does differently from the common sequence'],
    ['plan etcd.yaml -o json | jq .downMax', 'the most nodes down at once'],
  ]);

  const exec = program
    .command('exec')
    .summary('run a command on many nodes')
    .description(
      'Run a command on the nodes that a selector chooses, and print what they answer, equal answers once. One word after -- is a shell script; several are a command with its arguments.',
    )
    .argument('<selector>', 'CEL over name, labels, facts; or all; or names like n1,n[4-6]')
    .argument('<command...>', 'the command, after --')
    .option('--parallel <n>', 'on so many nodes at a time', readCount)
    .option('--timeout <duration>', 'end it after so long', checkDuration)
    .option('--cluster <name>', 'the cluster to work on', 'default');
  speaksToCoordinator(exec, ['json', 'jsonl']).action(
    act(async (selector: string, words: string[], options: ExecOptions) =>
      (await import('./commands/exec.ts')).exec(selector, words, options),
    ),
  );
  examples(exec, [
    ['exec all -- uptime', ''],
    ['exec \'labels.rack == "a"\' --parallel 2 -- systemctl restart nginx', ''],
    ["exec n[1-3] -- 'df -h / | tail -1'", 'a script'],
  ]);
}

function registerLooking(program: Command): void {
  const runs = program
    .command('runs')
    .summary('list runs, show one')
    .description('List runs, the newest first.');
  speaksToCoordinator(runs, ['json', 'jsonl'])
    .option('--state <state>', 'only those in this state; "active" is all that have not ended')
    .option('--cluster <name>', 'only those on this cluster')
    .option('--pipeline <name>', 'only those of this pipeline')
    .option('-n, --number <count>', 'so many at most', readCount, 20)
    .action(act(async (options: RunsOptions) => (await import('./commands/runs.ts')).listed(options)));
  examples(runs, [
    ['runs --state active', ''],
    ['runs --pipeline nightly', 'night by night: nodes done, deferred, overdue'],
    ['runs show r17', 'steps, nodes, params'],
    ['runs show r17 -o json', 'with every job'],
  ]);
  const show = runs.command('show').description('Show one run as it is now.').argument('<run>', 'like r17');
  speaksToCoordinator(show, ['json']).action(
    act(async (run: string, _: unknown, command: Command) =>
      (await import('./commands/runs.ts')).show(run, command.optsWithGlobals<CommonOptions>()),
    ),
  );

  const watch = program
    .command('watch')
    .summary('follow a run')
    .description(
      'Follow a run until it ends or needs a decision: a live picture on a terminal, a line for each change elsewhere. Ctrl-C stops watching, not the run. When nobody can answer (no terminal), a run that waits for an approval ends it too, with exit code 4.',
    )
    .argument('<run>', 'like r17');
  speaksToCoordinator(watch, ['json', 'jsonl']).action(
    act(async (run: string, options: CommonOptions) =>
      (await import('./commands/watch.ts')).watch(run, options),
    ),
  );
  examples(watch, [
    ['watch r17', ''],
    ['watch r17 -o jsonl', 'its events'],
  ]);

  const logs = program
    .command('logs')
    .summary('show what jobs wrote')
    .description('Show what the jobs of a run wrote.')
    .argument('<run>', 'like r17; or a whole job, r17/configure/n1')
    .argument('[step]', 'only this step')
    .argument('[node]', 'only this node')
    .option('-f, --follow', 'go on until the run ends')
    .option('--stdout', 'only standard output')
    .addOption(new Option('--stderr', 'only standard error').conflicts('stdout'))
    .option('--attempt <n>', 'only this attempt', readCount)
    .option('--tail <bytes>', 'only the last so many bytes of each stream', readCount);
  speaksToCoordinator(logs, ['json', 'jsonl']).action(
    act(async (run: string, step: string | undefined, node: string | undefined, options: LogsOptions) =>
      (await import('./commands/logs.ts')).logs(
        [run, step, node].filter((word) => word !== undefined),
        options,
      ),
    ),
  );
  examples(logs, [
    ['logs r17 configure n1', 'one job, byte for byte'],
    ['logs r17 -f', 'all of them, as they come'],
  ]);

  const why = program
    .command('why')
    .summary('say what is waited for')
    .description(
      'Say in one sentence for each unfinished job what it waits for, who holds that, and since when.',
    )
    .argument('<run|node|job>', 'like r17, n3 or r17/configure/n3');
  speaksToCoordinator(why, ['json', 'jsonl']).action(
    act(async (subject: string, options: CommonOptions) =>
      (await import('./commands/why.ts')).why(subject, options),
    ),
  );
  examples(why, [
    ['why r17', ''],
    ['why n3', 'what this node is about'],
  ]);
}

function registerReporting(program: Command): void {
  const report = program
    .command('report')
    .summary('write a deployment note of a run')
    .description(
      'Write what a run did as Markdown: nodes with platform and versions, order, timings, where it left the plan, and who approved or decided what. Also of archived runs.',
    )
    .argument('<run>', 'like r17');
  speaksToCoordinator(report, ['json']).action(
    act(async (run: string, options: CommonOptions) =>
      (await import('./commands/report.ts')).report(run, options),
    ),
  );
  examples(report, [
    ['report r17 > upgrade-of-monday.md', ''],
    ['report r17 -o json > monday.json', 'can be compared later: lockstep diff monday.json r18'],
  ]);

  const diff = program
    .command('diff')
    .summary('compare two runs')
    .description(
      'Show what differs between two runs: revision, params, kinds of nodes, outcomes, times, outputs. Nodes are compared by the role they play, so that the runs may be of two sites. A file that `report -o json` wrote stands for its run, also when it is of another coordinator.',
    )
    .argument('<first>', 'like r17, or a file')
    .argument('<second>', 'like r18, or a file');
  speaksToCoordinator(diff, ['json']).action(
    act(async (first: string, second: string, options: CommonOptions) =>
      (await import('./commands/diff.ts')).diff(first, second, options),
    ),
  );
  examples(diff, [
    ['diff r17 r18', 'yesterday and today'],
    ['diff site-a.json site-b.json', 'two sites'],
  ]);
}

function registerDeciding(program: Command): void {
  const approve = program
    .command('approve')
    .summary('let a run go on that waits for approval')
    .description('Let a run go on that waits for approval.')
    .argument('<run>', 'like r17')
    .argument('[unit]', 'the step or group; may be left out when only one waits')
    .option('--reason <text>', 'kept with the approval');
  speaksToCoordinator(approve, ['json']).action(
    act(async (run: string, unit: string | undefined, options: ReasonOptions) =>
      (await import('./commands/decide.ts')).approve(run, unit, options),
    ),
  );
  examples(approve, [['approve r17 upgrade --reason "change 4711"', '']]);

  const reject = program
    .command('reject')
    .summary('refuse what a run waits for')
    .description('Refuse the approval that a run waits for.')
    .argument('<run>', 'like r17')
    .argument('[unit]', 'the step or group; may be left out when only one waits')
    .option('--reason <text>', 'kept with the refusal');
  speaksToCoordinator(reject, ['json']).action(
    act(async (run: string, unit: string | undefined, options: ReasonOptions) =>
      (await import('./commands/decide.ts')).reject(run, unit, options),
    ),
  );
  examples(reject, [['reject r17 upgrade --reason "not before Monday"', '']]);

  const cancel = program
    .command('cancel')
    .summary('cancel a run')
    .description('Cancel a run: nothing more is granted, what runs is ended on its node.')
    .argument('<run>', 'like r17')
    .option('--reason <text>', 'kept with the run');
  speaksToCoordinator(cancel, ['json']).action(
    act(async (run: string, options: ReasonOptions) =>
      (await import('./commands/decide.ts')).cancel(run, options),
    ),
  );
  examples(cancel, [['cancel r17 --reason "wrong rack"', '']]);

  const resume = program
    .command('resume')
    .summary('decide about a held run or job')
    .description('Let a held run go on, or say what became of a held job.')
    .argument('<run|job>', 'like r17, or r17/configure/n3')
    .option('--retry-failed', 'run again what failed')
    .option('--accept-failed', 'go on without what failed')
    .option('--as-reported', 'after a restore: believe the nodes about jobs that they have ended')
    .option('--elect <node>', 'give a role another leader')
    .option('--role <role>', 'the role that --elect is about, when several have a leader')
    .addOption(
      new Option('--as <outcome>', 'what became of the job').choices(['succeeded', 'failed', 'again']),
    )
    .option('--reason <text>', 'kept with the decision; needed with --as');
  speaksToCoordinator(resume, ['json']).action(
    act(async (subject: string, options: ResumeOptions) =>
      (await import('./commands/decide.ts')).resume(subject, options),
    ),
  );
  examples(resume, [
    ['resume r17', 'go on as it is'],
    ['resume r17 --retry-failed', ''],
    ['resume r17 --elect n2 --role member', ''],
    ['resume r17 --as-reported', 'after a restore'],
    ['resume r17/migrate/n3 --as succeeded --reason "looked: done"', ''],
  ]);
}

export function registerRunCommands(program: Command): void {
  program.commandsGroup('Pipelines and runs:');
  registerStarting(program);
  registerLooking(program);
  registerReporting(program);
  registerDeciding(program);
}
