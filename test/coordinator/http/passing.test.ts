/** What is shown of jobs at work and is no event of theirs: iterations that their nodes tell of, and lost links. */
import t from 'tap';
import * as z from 'zod';
import * as resources from '../../../coordinator/http/resources.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { helloOf, SmallAgent } from '../small-agent.ts';

const pipeline = {
  file: 'test.yaml',
  text: "kind: pipeline\nname: test\nroles: { all: { select: 'true' } }\nsteps:\n  - { id: a, on: all, run: exit 1, until: outputs.x == 1, outputs: { x: { type: int } } }\n",
};
const sentences = z.object({ items: z.array(z.object({ sentence: z.string() })) });

t.test('iterations and links of running jobs', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const token = await coordinator.joinToken();
  const agent = await SmallAgent.join(coordinator.url, token, 'n1');
  const other = await SmallAgent.join(coordinator.url, token, 'other', { labels: { cluster: 'elsewhere' } });
  agent.say({ type: 'pull', credit: 1 });
  t.equal((await coordinator.ask('POST', '/api/runs', pipeline)).status, 201);
  const attempt = (await agent.hear('grant')).jobs[0]?.attempt ?? '';
  const seqBefore = (await journal(coordinator)).at(-1)?.seq;

  const why = async (): Promise<string> => {
    const { text } = await coordinator.ask('GET', '/api/runs/r1/why');
    return sentences
      .parse(JSON.parse(text))
      .items.map(({ sentence }) => sentence)
      .join('\n');
  };
  const job = async () =>
    resources.run.parse(JSON.parse((await coordinator.ask('GET', '/api/runs/r1')).text)).jobs?.[0];
  const settled = async (): Promise<void> => {
    agent.say({ type: 'ping' });
    await agent.hear('pong');
  };
  agent.say({ type: 'started', attempt, at: 1 });
  agent.say({ type: 'iterated', attempt, phase: 'run', number: 12, exitCode: 1, signal: null });
  await settled();
  t.equal(
    await why(),
    'r1/a/n1 is running on n1, attempt 1: iteration 12 ended with exit code 1, and its until does not hold yet',
  );
  t.strictSame((await job())?.iteration, { phase: 'run', number: 12, exitCode: 1, signal: null });
  agent.say({ type: 'iterated', attempt, phase: 'verify', number: 2, exitCode: 137, signal: 'SIGKILL' });
  await settled();
  t.match(await why(), /attempt 1: its verify has not passed, try 2 was ended by SIGKILL$/);
  agent.say({ type: 'iterated', attempt: 'r1/a/n1#7', phase: 'run', number: 3, exitCode: 1, signal: null });
  await settled();
  t.equal(await why(), 'r1/a/n1 is running on n1, attempt 1', "one of another attempt is nobody's");
  t.equal((await job())?.awaySince, undefined);
  const events = await journal(coordinator);
  t.strictSame(
    events.filter(({ seq }) => seq > (seqBefore ?? 0)).map(({ type }) => type),
    ['JobStarted'],
    'none of it is in the journal',
  );

  agent.socket.close();
  other.socket.close();
  await agent.closed;
  const away = await until(async () => (await job())?.awaySince);
  t.match(away, /^\d{4}-.*Z$/);
  t.match(await why(), /n1 is not connected at the moment/);
  const again = await SmallAgent.connect(coordinator.url, token);
  again.say(helloOf('n1', { counter: 2, held: [{ attempt, state: 'running' }] }));
  await again.hear('welcome');
  t.equal((await job())?.awaySince, undefined);
  const ofRun = (await journal(coordinator, '?run=r1')).map(({ type, node }) => `${type} ${node ?? ''}`);
  t.strictSame(ofRun.slice(-3), ['JobStarted n1', 'NodeDisconnected n1', 'NodeConnected n1']);
  t.notOk(
    ofRun.some((line) => line.endsWith('other')),
    'nodes that are not in it are not its business',
  );

  again.say({ type: 'iterated', attempt: 'r1/a/n2#1', phase: 'run', number: 1, exitCode: 0, signal: null });
  t.match(await again.closed, { code: 1008, reason: /not of node n1/ });
});

const eventWithNode = resources.event.and(z.object({ node: z.string().optional() }));

async function journal(
  coordinator: TestCoordinator,
  query = '',
): Promise<readonly z.infer<typeof eventWithNode>[]> {
  const { text } = await coordinator.ask('GET', `/api/events${query}`);
  return text.split('\n').flatMap((line) => (line === '' ? [] : [eventWithNode.parse(JSON.parse(line))]));
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
