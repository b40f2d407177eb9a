/**
 * `lockstep exec`: one command on many nodes, through the same machinery as any pipeline: it is a run of one
 * step, so it waits its turn on busy nodes, is in the journal and survives a lost connection.
 */
import { LockstepError } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';
import { run as runSchema } from '../../http/resources.ts';
import { LiveScreen } from '../live-screen.ts';
import { readLogs } from '../log-stream.ts';
import { exitCodeOfRun, exitCodes } from '../outcome.ts';
import { type Answer, drawAnswers } from '../render/answers.ts';
import { type Line, span } from '../render/line.ts';
import { progressOf } from '../render/lists.ts';
import { bytesOf } from '../render/log-lines.ts';
import { formatDuration } from '../render/measures.ts';
import { byName, foldNames, selectorOf } from '../render/node-names.ts';
import { isFinished } from '../render/run-rows.ts';
import type { Run } from '../resources.ts';
import { followRun } from '../run-follower.ts';
import { type CommonOptions, interruption, type Session, withCoordinator } from '../session.ts';
import { readPipeline } from '../submission.ts';

export type ExecOptions = CommonOptions & {
  readonly parallel?: number;
  readonly timeout?: string;
  readonly cluster: string;
};

/** One word for a POSIX shell, quoted only when it must be. */
export const shellWord = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** One word is a script as it stands; several are a command whose arguments stay apart. */
export const scriptOf = (words: readonly string[]): string =>
  words.length === 1 ? (words[0] ?? '') : words.map(shellWord).join(' ');

const step = 'exec';
const role = 'nodes';

/** What is said of a role without nodes, and why the others are not in it. */
const noneMatched = new RegExp(`^role ${role} needs 1 node and none matched; (?:not in it are )?(.*)$`);

/** The pipeline that does it. A failing node stops no other one, and one that is away is left out. */
export const execPipeline = (
  selector: string,
  words: readonly string[],
  options: Omit<ExecOptions, 'cluster'>,
): string =>
  JSON.stringify(
    {
      kind: 'pipeline',
      name: 'exec',
      title: words.join(' ').slice(0, 100),
      roles: { [role]: { select: selector } },
      steps: [
        {
          id: step,
          on: role,
          run: scriptOf(words),
          shell: ['sh'],
          offline: 'skip',
          ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
          strategy: {
            parallel: {
              ...(options.parallel === undefined ? {} : { maxParallel: options.parallel }),
              maxFailed: '100%',
              maxUnknown: '100%',
              maxUnreachable: '100%',
            },
          },
        },
      ],
    },
    null,
    2,
  );

/** Nobody sees the pipeline: what is wrong with it is wrong with the words that were typed. */
function explain(error: unknown, selector: string): unknown {
  if (!(error instanceof LockstepError) || error.code !== 'invalid') return error;
  const faults = error.diagnostics.map(({ message, expected, nearest }) =>
    [
      message,
      expected === undefined ? '' : ` (expected ${expected})`,
      nearest === undefined ? '' : ` (did you mean "${nearest}"?)`,
    ].join(''),
  );
  const [, others] = noneMatched.exec(error.message) ?? [];
  if (others !== undefined)
    return new LockstepError(
      error.code,
      `no node fits \`${selector}\`: ${others.replaceAll('select is false', 'it is false')}`,
    );
  return new LockstepError(
    error.code,
    `cannot run this on the nodes that \`${selector}\` selects: ${faults.length === 0 ? error.message : faults.join('; ')}`,
  );
}

async function create(
  { client }: Session,
  selector: string,
  words: readonly string[],
  options: ExecOptions,
): Promise<Run> {
  try {
    const { submission } = readPipeline({ file: 'exec', text: execPipeline(selector, words, options) });
    return await client.send('POST', '/api/runs', { ...submission, cluster: options.cluster }, runSchema);
  } catch (error) {
    throw explain(error, selector);
  }
}

type Written = { readonly chunks: Record<'stdout' | 'stderr', Buffer[]>; missingBytes: number };

/** Keeps the end of what was written: many nodes with much to say must fit in here. */
function keepTail(written: Written, stream: 'stdout' | 'stderr', bytes: Buffer): void {
  const chunks = written.chunks[stream];
  chunks.push(bytes);
  let kept = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  while (kept > limits.attemptLogTailBytes) {
    const [first] = chunks;
    if (first === undefined) return;
    const excess = Math.min(first.length, kept - limits.attemptLogTailBytes);
    if (excess === first.length) chunks.shift();
    else chunks[0] = first.subarray(excess);
    kept -= excess;
    written.missingBytes += excess;
  }
}

/** What the nodes wrote. Of a run that has ended this waits for what is still on its way from them. */
async function readAnswers({ client }: Session, run: Run, signal: AbortSignal): Promise<Answer[]> {
  const all = new Map<string, Written>();
  const selection = { run: run.id, step, tailBytes: limits.attemptLogTailBytes };
  for await (const chunk of readLogs(client, selection, run.finishedAt !== null, signal)) {
    const written = all.get(chunk.node) ?? { chunks: { stdout: [], stderr: [] }, missingBytes: 0 };
    all.set(chunk.node, written);
    if (written.chunks[chunk.stream].length === 0) written.missingBytes += chunk.offset;
    written.missingBytes += chunk.gapBytes ?? 0;
    keepTail(written, chunk.stream, bytesOf(chunk));
  }
  return [...(run.jobs ?? [])]
    .sort((a, b) => byName(a.node, b.node))
    .map((job) => {
      const { chunks, missingBytes } = all.get(job.node) ?? {
        chunks: { stdout: [], stderr: [] },
        missingBytes: 0,
      };
      const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString('utf8');
      return { job, stdout: text(chunks.stdout), stderr: text(chunks.stderr), missingBytes };
    });
}

const open = (run: Run) => (run.jobs ?? []).filter(({ state }) => !isFinished(state));

/** Contact may stay lost for days: whoever waits for answers is told what there is. */
const isOver = (run: Run): boolean =>
  exitCodeOfRun(run.state) !== undefined ||
  (run.jobs?.length !== 0 && open(run).every(({ state }) => state === 'unknown'));

/** Waits until all nodes have answered; on a terminal one line tells how far it is. */
async function follow(
  { client, terminal }: Session,
  created: Run,
  isQuiet: boolean,
  signal: AbortSignal,
): Promise<Run> {
  const screen = terminal.interactive && !isQuiet ? new LiveScreen(terminal) : undefined;
  let latest = created;
  let lost: string | null = null;
  const draw = (): void => {
    const elapsed = formatDuration(Date.now() + client.clockAheadMs - Date.parse(created.createdAt));
    const nodes = open(latest).map(({ node }) => node);
    const awaited = nodes.length === 0 ? '' : `, waits for ${foldNames(nodes)}`;
    const told = `${created.id} ${progressOf(latest.counts)} nodes answered, ${elapsed}${awaited}`;
    const progress: Line = [span(told, 'dim')];
    screen?.draw(lost === null ? [progress] : [progress, [span(lost, 'warn')]]);
  };
  const timer = setInterval(draw, 500);
  const listener = {
    event: () => undefined,
    run: (run: Run) => {
      latest = run;
    },
    lost: (sentence: string | null) => {
      lost = sentence;
      if (sentence !== null && screen === undefined) terminal.note(sentence);
    },
  };
  try {
    return await followRun(
      client,
      created,
      { id: created.id, since: created.seq, jobs: true, isOver },
      listener,
      signal,
    );
  } finally {
    clearInterval(timer);
    screen?.draw([]);
    screen?.close();
  }
}

export async function exec(
  selector: string,
  words: readonly string[],
  options: ExecOptions,
): Promise<number> {
  return withCoordinator(options, async (session) => {
    const { terminal } = session;
    const { signal } = interruption();
    const created = await create(session, selectorOf(selector), words, options);
    const run = await follow(session, created, options.output !== undefined, signal);
    const answers = await readAnswers(session, run, new AbortController().signal);
    const documents = answers.map(({ job, stdout, stderr }) => ({ ...job, stdout, stderr }));
    if (options.output === 'json') terminal.printJson(documents);
    else if (options.output === 'jsonl') for (const document of documents) terminal.printJsonLine(document);
    else {
      const told = answers.filter(({ job }) => isFinished(job.state) || job.state === 'unknown');
      terminal.printWhole(drawAnswers(told, run.id, terminal.interactive));
    }
    return conclude(session, run, signal.aborted);
  });
}

/** The run as such allows for failures; whoever typed the command wants it done everywhere. */
function conclude({ terminal }: Session, run: Run, isInterrupted: boolean): number {
  const exitCode = exitCodeOfRun(run.state);
  if (exitCode === undefined) {
    const nodes = foldNames(open(run).map(({ node }) => node));
    const why = isInterrupted
      ? `${nodes} did not answer yet`
      : `${nodes} cannot be reached and may be running it`;
    terminal.note(
      `${why}. ${run.id} goes on: watch it with \`lockstep watch ${run.id}\`, stop it with \`lockstep cancel ${run.id}\`.`,
    );
    return isInterrupted ? exitCodes.interrupted : exitCodes.held;
  }
  if (exitCode !== exitCodes.done) {
    terminal.note(`${run.id} is ${run.state}${run.reason === null ? '' : `: ${run.reason}`}`);
    return exitCode;
  }
  return (run.jobs ?? []).every(({ state }) => state === 'succeeded') ? exitCodes.done : exitCodes.failed;
}
