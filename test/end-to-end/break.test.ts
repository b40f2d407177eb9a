/** `scripts/up --break`: what it breaks is mended, what it tells is true, and nothing is lost or done twice. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from './hosts.ts';
import { complete, freePort } from './processes.ts';

const verdict = 'each of n1 n2 n3 has done one, two, three, four: each once, in this order';
const seen = {
  link: [/The cable of n2 is pulled/, /n2 is not connected at the moment and may go on as far as four/],
  agent: [/The agent of n2 is killed/, /one n2 succeeded/],
  coordinator: [
    /The coordinator is killed/,
    /no contact with the coordinator/,
    /the coordinator answers again/,
  ],
} as const;

t.test('broken for twenty seconds', { timeout: 400_000 }, async (t) => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'lockstep-break-'));
  const data = join(folder, 'data');
  const port = String(await freePort());
  const up = (...more: string[]) =>
    complete([join(projectRoot, 'scripts/up'), '--data', data, ...more], {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
      timeoutMs: 180_000,
    });
  t.teardown(async () => {
    await up('--down');
    rmSync(folder, { recursive: true, force: true });
  });
  for (const [what, words] of Object.entries(seen)) {
    await t.test(what, async (t) => {
      const { status, stdout, stderr } = await up('--port', port, '--nodes', '3', '--break', what);
      t.equal(status, 0, stderr);
      for (const word of words) t.match(stdout, word);
      t.match(stdout, verdict);
      t.match(stdout, /run r\d+ succeeded: every step is done/);
    });
  }
  await t.test('with a single node only that one is offered for it', async (t) => {
    const data = join(folder, 'single');
    const more = ['--data', data, '--port', String(await freePort())];
    t.teardown(() => up('--data', data, '--down'));
    const { status, stdout, stderr } = await up(...more, '--nodes', '1');
    t.equal(status, 0, stderr);
    t.notMatch(stderr, /cut: /);
    t.match(stdout, /kill -9 \d+ +the agent of n1; /);
    t.match(stdout, /lockstep why n1\n/);
    t.notMatch(stdout, /--break link|\bn[23]\b/);
  });
  const refused = await up('--break', 'everything');
  t.equal(refused.status, 2);
  t.match(refused.stderr, 'up: --break takes link, agent or coordinator, not everything');
});
