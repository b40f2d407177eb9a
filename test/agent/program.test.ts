/** The program `lockstep-agent` as people start it: words, messages, exit codes, and the facts that it finds. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { formatFacts } from '../../agent/facts-text.ts';
import { plainLine } from '../../agent/logger.ts';
import { factsSchema } from '../../shared/facts.ts';
import { AgentProcess } from './agent-process.ts';
import { Host } from './host.ts';

async function finished(options: readonly string[], environment: Record<string, string> = {}) {
  const agent = new AgentProcess(options, environment);
  const code = await agent.ended();
  return { code, output: agent.output };
}

t.test('help, version, facts', async (t) => {
  const help = await finished(['--help']);
  t.equal(help.code, 0);
  t.match(help.output, /Examples:\n {2}LOCKSTEP_TOKEN=/);
  const version = await finished(['--version']);
  t.equal(version.output, `${JSON.parse(readFileSync('package.json', 'utf8')).version}\n`);
  const facts = await finished(['facts', '-o', 'json'], { LOCKSTEP_TOKEN: '' });
  t.equal(facts.code, 0);
  const parsed = factsSchema.parse(JSON.parse(facts.output));
  t.ok(parsed.memory.totalBytes > 0 && parsed.cpu.threads > 0);
  t.same(formatFacts({ a: [{ b: 1 }], c: 'x' }), ['facts.a[0].b: 1', 'facts.c: x']);
});

t.test('wrong use is told in one line, with exit code 2', async (t) => {
  const url = 'http://127.0.0.1:1';
  const state = t.testdir({ token: 'two words', folder: {} });
  const run = ['run', '--coordinator', url, '--state', path.join(state, 'folder')];
  const cases: [string[], RegExp, Record<string, string>?][] = [
    [['run'], /required option '--coordinator/],
    [
      ['run', '--coordinator', 'nonsense', '--state', state],
      /"nonsense" is not the URL of a coordinator, such as/,
    ],
    [[...run, '--name', 'Bad_Name'], /"Bad_Name" cannot be a node name: use small letters/],
    [[...run, '--label', 'novalue'], /"novalue" is not a label: give KEY=VALUE/],
    [[...run, '--token-file', path.join(state, 'none')], /cannot read the token: ENOENT/],
    [[...run, '--token-file', path.join(state, 'token')], /holds no token: expected one word/],
    [[...run, '--uplink', '64q'], /--uplink "64q" is no budget: give bytes per second/],
    [[...run, '--uplink', '100'], /--uplink "100" is no budget: .* at least 1024/],
    [run, /LOCKSTEP_UPLINK "fast" is no budget/, { LOCKSTEP_UPLINK: 'fast' }],
    [run, /HTTP_PROXY is not the URL of an HTTP proxy/, { http_proxy: 'socks5://u:hidden@x' }],
    [['explode'], /unknown command 'explode'/],
    [['facts', '-o', 'xml'], /-o xml is not known; use -o json or -o text/],
  ];
  const ended = await Promise.all(cases.map(([options, , environment]) => finished(options, environment)));
  for (const [index, { code, output }] of ended.entries()) {
    const [options, message] = cases[index] ?? [];
    t.equal(code, 2, `${options}`);
    t.match(output, message ?? /never/);
    t.notMatch(output, /\n\s+at /, 'without a stack');
    t.notMatch(output, /hidden/, 'without a password');
  }
  const tokenless = new AgentProcess(run, { LOCKSTEP_TOKEN: ' ' });
  t.equal(await tokenless.ended(), 2);
});

t.test('hello says who it is; the same state is the same incarnation, each connection counts', async (t) => {
  const host = await Host.make(t);
  const { coordinator } = host;
  const first = await host.startAndPull('--label', 'rack=a', '--label', 'use=etcd', '--ephemeral');
  const hello = await coordinator.hello();
  t.match(hello, {
    name: 'n1',
    labels: { rack: 'a', use: 'etcd' },
    counter: 1,
    diskless: true,
    protocol: 1,
    held: [],
  });
  t.match(hello.address, '127.0.0.1');
  t.match(
    hello.boot,
    new RegExp(`^${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:[0-9]+$`),
  );
  const facts = await coordinator.until('facts', () => coordinator.ofType('facts')[0]);
  t.ok(factsSchema.safeParse(facts.facts).success);
  t.equal(await first.end('SIGTERM'), 0, 'SIGTERM is a clean end');

  const second = await host.startAndPull();
  const again = await coordinator.hello(2);
  t.match(again, { incarnation: hello.incarnation, counter: 2, diskless: false });
  const factsAgain = await coordinator.until('facts again', () => coordinator.ofType('facts')[1]);
  t.equal(factsAgain.digest, facts.digest, 'facts do not change by being looked at');
  coordinator.dropLink();
  t.equal((await coordinator.hello(3)).counter, 3);
  t.equal(await second.end('SIGINT'), 130);
});

t.test('two agents on one state folder', async (t) => {
  const host = await Host.make(t);
  const first = await host.startAndPull();
  const second = host.start();
  t.equal(await second.ended(), 2);
  t.match(
    second.output,
    new RegExp(`cannot lock .*: process ${first.pid} uses it; stop that one or name another folder`),
  );
});

t.test('a token that is refused', async (t) => {
  const host = await Host.make(t);
  host.coordinator.refuseWith = 401;
  const file = path.join(host.state, '..', 'token');
  writeFileSync(file, 'wrong\n');
  const agent = host.start('--token-file', file);
  t.equal(await agent.ended(), 2);
  t.notMatch(agent.output, 'trying again');
  t.match(
    agent.output,
    /does not accept the token from the file .*token; make one there with `lockstep token create`/,
  );
});

t.test('damaged state is refused with what to do', async (t) => {
  const host = await Host.make(t);
  await (await host.startAndPull()).end();
  for (const name of ['ledger.json', 'ledger.json.previous'])
    writeFileSync(path.join(host.state, name), 'rubbish');
  const agent = host.start();
  t.equal(await agent.ended(), 3);
  t.match(agent.output, /cannot read .*ledger.json: .* restore/);
});

t.test('lines for a terminal', async (t) => {
  const line = JSON.stringify({ level: 40, time: '2026-01-02T03:04:05.678Z', msg: 'careful' });
  t.equal(plainLine(line), '03:04:05 warning: careful\n');
  t.equal(plainLine(line.replace('40', '30')), '03:04:05 careful\n');
});
