/**
 * Scripts that misbehave, on real agents: what they print, leave behind, destroy and put out. Each gets a clear
 * verdict, memory and disk of both programs stay bounded, and the node goes on working. Scripts that ignore TERM
 * are in operating.test.ts.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import * as z from 'zod';
import { limits } from '../../shared/limits.ts';
import {
  isAlive,
  type JobDocument,
  LocalCluster,
  peakMegabytes,
  type RunDocument,
  runDocument,
} from './local-cluster.ts';
import { eventually } from './processes.ts';

const MiB = 1024 * 1024;
/** The runtime alone takes about 70. */
const peakMegabytesMax = 250;
const gigabyte = 1024 * MiB;

const logChunk = z.object({
  stream: z.string(),
  offset: z.int(),
  text: z.string().optional(),
  base64: z.string().optional(),
  gapBytes: z.int().optional(),
});

const pipeline = (run: string, more: string) => `kind: pipeline
name: hostile
params: { folder: { type: string } }
roles: { all: { select: 'true' } }
steps: [${JSON.stringify({ id: 'step', on: 'all', run }).slice(0, -1)}${more === '' ? '' : `, ${more}`}}]
`;

/** Bytes of all files below a folder, while others change it. */
function bytesBelow(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    try {
      bytes += lstatSync(join(folder, name)).size;
    } catch {
      // Gone in the meantime.
    }
  }
  return bytes;
}

t.test('hostile scripts', { timeout: 180_000 }, async (t) => {
  const cluster = await LocalCluster.start(t, { n1: {} });
  const folder = cluster.path('notes');
  cluster.write('notes/readme', 'What scripts of the test note.\n');
  const state = cluster.stateOf('n1');

  const submit = async (run: string, more = ''): Promise<string> => {
    const body = JSON.stringify({ file: 'hostile.yaml', text: pipeline(run, more), params: { folder } });
    const { status, text } = await cluster.request('POST', '/api/runs', body);
    if (status !== 201) throw new Error(text);
    return runDocument.parse(JSON.parse(text)).id;
  };
  const runOf = async (id: string): Promise<RunDocument> =>
    runDocument.parse(JSON.parse((await cluster.request('GET', `/api/runs/${id}`)).text));
  const ended = (id: string): Promise<RunDocument> =>
    eventually(
      `${id} to end`,
      async () => {
        const run = await runOf(id);
        return run.state === 'succeeded' || run.state === 'failed' ? run : undefined;
      },
      { withinMs: 90_000 },
    );
  /** Everything that the ended run wrote, also what is still on its way. */
  const logsOf = async (id: string): Promise<readonly z.infer<typeof logChunk>[]> => {
    const { text } = await cluster.request('GET', `/api/runs/${id}/logs?format=ndjson&follow=true`);
    return text
      .trimEnd()
      .split('\n')
      .map((line) => logChunk.parse(JSON.parse(line)));
  };
  /** Runs one script on the node to its end. */
  const job = async (run: string, more = ''): Promise<JobDocument | undefined> =>
    (await ended(await submit(run, more))).jobs[0];

  await t.test('one that prints a gigabyte', async (t) => {
    const id = await submit(
      `echo first line; yes 'the same line again and again' | head -c ${gigabyte}; echo last line`,
    );
    let onDisk = 0;
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        onDisk = Math.max(onDisk, bytesBelow(state));
        await delay(50);
      }
    })();
    const run = await ended(id);
    watching.abort();
    await watch;
    t.equal(run.state, 'succeeded', run.jobs[0]?.reason ?? '');
    t.ok(onDisk < gigabyte / 2, `at most ${Math.round(onDisk / MiB)} MiB stood on the node's disk`);

    const chunks = await logsOf(id);
    const gaps = chunks.reduce((sum, { gapBytes = 0 }) => sum + gapBytes, 0);
    const texts = chunks.map(({ text = '' }) => text);
    const kept = texts.reduce((sum, text) => sum + text.length, 0);
    t.ok(kept > 15 * MiB && kept <= limits.attemptLogBytesMax, `${kept} bytes of it are kept`);
    t.ok(gaps > gigabyte / 2 && gaps + kept <= gigabyte + 100, `and ${gaps} are marked as cut`);
    t.match(texts[0], /^first line\nthe same line/, 'its beginning is there');
    t.match(texts.join('').slice(-100), /again\n.*last line\n$/s, 'and its end');
    const shown = await cluster.cli(['logs', id]);
    t.match(shown.stdout, /^step n1 │ \[\d+ bytes were cut here\]$/m, 'people are told');

    t.ok(bytesBelow(state) < 8 * MiB, 'nothing of it stays on the node');
    t.ok(bytesBelow(cluster.data) < 3 * limits.attemptLogBytesMax, 'the coordinator keeps the bound');
  });

  await t.test('what they print and how they end', async (t) => {
    const binary = await job('head -c 70000 /dev/urandom | tee "$PARAM_FOLDER/binary"');
    t.equal(binary?.state, 'succeeded');
    const bytes = (await logsOf('r2')).map(({ text, base64 }) =>
      text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text),
    );
    t.ok(Buffer.concat(bytes).equals(readFileSync(join(folder, 'binary'))), 'bytes are kept as they are');

    const closed = await job(
      'exec >&- 2>&-; sleep 0.1; echo said=true >>"$LOCKSTEP_OUTPUT"',
      'outputs: { said: bool }',
    );
    t.match(closed, { state: 'succeeded', outputs: { said: true } }, 'without output of its own');
    t.match(await job('kill -SEGV $$'), {
      state: 'failed',
      signal: 'SIGSEGV',
      exitCode: 139,
      reason: 'run was ended by SIGSEGV (exit status 139)',
    });
    t.match(await job("printf '\\033]0;title\\007\\033[2J'; exit 255"), { exitCode: 255, signal: null });
    t.match(await job('exec /nowhere/at-all'), { state: 'failed', exitCode: 127 });
  });

  await t.test('what they leave behind', async (t) => {
    const forks = await job(`
      sleep 1000 &                                             # keeps the output open
      echo $! >"$PARAM_FOLDER/left"
      (setsid sh -c 'sleep 1001 & echo $! >>"$PARAM_FOLDER/left"' >/dev/null 2>&1 &)
      (cd / && exec setsid sh -c 'sleep 1002 >/dev/null 2>&1 <&1 & echo $! >>"$PARAM_FOLDER/left"; sleep 1003') &
      nohup sleep 1004 >/dev/null 2>&1 &
      echo $! >>"$PARAM_FOLDER/left"
      while [ "$(wc -l <"$PARAM_FOLDER/left")" -lt 4 ]; do sleep 0.05; done
      echo done`);
    t.equal(forks?.state, 'succeeded', 'the job is done when its main process is');
    const left = readFileSync(join(folder, 'left'), 'utf8').trim().split('\n').map(Number);
    t.equal(left.length, 4);
    t.strictSame(left.filter(isAlive), [], 'and nothing lives on');
  });

  await t.test('what they put out', async (t) => {
    const outputs =
      'outputs: { text: { type: string, optional: true }, number: { type: int, optional: true }, document: { type: json, optional: true }, file: { type: file, optional: true } }';
    const cannot = (what: string) =>
      `cannot read the outputs: ${what}; see "outputs" in the language reference`;
    const verdicts = [
      ['echo just words', cannot('line 1 is neither KEY=value nor KEY<<MARK')],
      ["printf 'text<<END\\nnever ended\\n'", cannot('the mark that line 1 announces for text never comes')],
      ["printf 'text=\\377\\376\\n'", cannot('the text is not valid UTF-8')],
      ['echo number=twelve', cannot('number is not a whole number')],
      ['echo number=99999999999999999999', cannot('number is not a whole number')],
      ['echo document={', cannot('document is not JSON')],
      [
        "printf text=; head -c 70000 /dev/zero | tr '\\0' x; echo",
        cannot(`text has more than ${limits.outputValueBytesMax} bytes`),
      ],
      ['yes | head -c 2000000', cannot(`more than ${limits.outputTextBytesMax} bytes were written`)],
      ['echo file=', cannot('file is not a path')],
      ['echo file=not-there', 'cannot take the file of output file: ENOENT'],
    ] as const;
    for (const [script, reason] of verdicts)
      t.match(await job(`{ ${script}; } >>"$LOCKSTEP_OUTPUT"`, outputs), {
        state: 'failed',
        outputs: {},
        reason,
      });
    for (const place of ['/dev/zero', '/proc', '.'])
      t.match(await job(`echo file=${place} >>"$LOCKSTEP_OUTPUT"`, outputs), {
        state: 'failed',
        reason: /^cannot take the file of output file: /,
      });
    t.match(await job('truncate -s 100M large; echo file=large >>"$LOCKSTEP_OUTPUT"', outputs), {
      state: 'failed',
      reason: /^cannot take the file of output file: .*67108864/,
    });
    t.match(await job('echo nobody=asked >>"$LOCKSTEP_OUTPUT"'), { state: 'succeeded', outputs: {} });
    const needed = 'outputs: { text: string }';
    const missing = 'run ended without text in $LOCKSTEP_OUTPUT, declared under "outputs"';
    t.match(await job('true', needed), { state: 'failed', reason: missing });
    for (const instead of ['mkfifo', 'ln -s /dev/zero', 'mkdir'])
      t.match(
        await job(`rm "$LOCKSTEP_OUTPUT"; ${instead} "$LOCKSTEP_OUTPUT"`, needed),
        { state: 'failed', reason: missing },
        `${instead} in the place of the file`,
      );
  });

  await t.test('what they destroy', async (t) => {
    const own = await job('echo before; sleep 0.5; echo after >/dev/stdout; echo end');
    t.equal(own?.state, 'succeeded');
    const written = await logsOf(own?.id.split('/')[0] ?? '');
    t.equal(
      written.map(({ text, gapBytes }) => text ?? `(${gapBytes} cut)`).join(''),
      'before\n(1 cut)after\nend\n',
      'who empties his own log is told so, and the rest is there',
    );

    const id = await submit('cd ..; rm -rf ./* 2>/dev/null; echo gone');
    const held = await eventually(`${id} to be held`, async () => {
      const run = await runOf(id);
      return run.state === 'held' ? run : undefined;
    });
    t.match(held.jobs, [{ state: 'held', outcome: 'interrupted' }], 'nobody knows how it ended');
    t.match(held.jobs[0]?.reason, 'or the script removed its own folder');
    t.equal((await cluster.cli(['cancel', id])).status, 0);
  });

  t.match(await job('echo all is well'), { state: 'succeeded' }, 'the node works');
  for (const [who, pid] of [
    ['agent', cluster.agentPid('n1')],
    ['coordinator', cluster.coordinatorPid],
  ] as const) {
    const peak = peakMegabytes(pid);
    t.ok(peak < peakMegabytesMax, `the ${who} never had more than ${peak} MB`);
  }
});
