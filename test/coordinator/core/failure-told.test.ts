/** What a job that comes after a failure is told of it, and what it is not told. */
import t from 'tap';
import { pipelineOf } from '../../shared/pipeline/reading.ts';
import { World } from './world.ts';

const pipeline = pipelineOf(`kind: pipeline
name: p
params: { token: { type: string, secret: true, default: 'a secret/word' }, pin: { type: string, secret: true, default: '1234' } }
roles: { all: {} }
steps:
  - id: make
    on: all
    outputs: { key: { type: string, secret: true } }
    run: echo
  - id: use
    on: all
    retry: 2
    rerun: idempotent
    with: { both: '\${{ params.token + params.pin }}' }
    run: echo
    rescue: [{ id: page, run: echo, with: { tail: '\${{ failure.logTail }}' } }]
`);

function failing(printed: string): World {
  const world = new World();
  world.connect('n1');
  world.pull('n1');
  world.run(pipeline);
  world.finish('n1', 'succeeded', { outputs: { key: 'made-of-secrets' } });
  world.retry('n1');
  world.printed.set(world.attemptOn('n1') ?? '', printed);
  world.finish('n1', 'failed');
  return world;
}

const environmentOf = (world: World): Readonly<Record<string, string>> =>
  world.held.get('n1')?.[0]?.job.environment ?? {};

t.test('secrets are not told on, in none of the forms in which they are looked for', (t) => {
  const base64 = Buffer.from('a secret/word').toString('base64');
  const world = failing(
    `token a secret/word url a%20secret%2Fword base64 ${base64} key made-of-secrets both a secret/word1234 pin 1234\0`,
  );
  const { LOCKSTEP_FAILURE_LOG_TAIL: told = '', LOCKSTEP_FAILURE_STEP: step } = environmentOf(world);
  t.equal(step, 'use');
  t.notMatch(told, /secret|made-of/);
  t.match(told, /^token \*\*\* url \*\*\* base64 \*\*\*\S* key \*\*\* both \*\*\*/);
  t.match(told, / pin 1234$/, 'what is short stands in any text by chance');
  const granted = world.events.find((event) => event.type === 'JobGranted' && event.step === 'page');
  t.notMatch(JSON.stringify(granted), /secret\/word|made-of/, 'nor does the journal have them');
  t.end();
});

t.test('a long end is stored apart, and one that was lost does not keep the job from being done', (t) => {
  const printed = 'x'.repeat(3_000);
  const world = failing(printed);
  t.equal(environmentOf(world).LOCKSTEP_FAILURE_LOG_TAIL, printed);
  const granted = world.events.findLast((event) => event.type === 'JobGranted');
  t.match(granted, { step: 'page', ended: { failure: { logTail: { blob: /^sha256:/ } } } });
  t.match(granted, { inputs: { tail: { blob: /^sha256:/ } } }, 'as what expressions made of it');
  world.texts.clear();
  world.held.delete('n1');
  world.disconnect('n1');
  world.connect('n1');
  world.pull('n1');
  t.equal(world.attemptOn('n1'), 'r1/page/n1#1', 'it is sent again');
  t.equal(environmentOf(world).LOCKSTEP_FAILURE_LOG_TAIL, '');
  t.equal(environmentOf(world).LOCKSTEP_FAILURE_EXIT, '1');
  t.end();
});
