/** Profiles: secrets of them, bounds, equals, and what is left of them after a restart. What they give is in test/scenarios/profiles.txt. */
import t from 'tap';
import { staleSecrets } from '../../../coordinator/sequence/stale-secrets.ts';
import { limits } from '../../../shared/limits.ts';
import { pipelineOf } from '../../shared/pipeline/reading.ts';
import { dumpState, throughSnapshot } from './dump.ts';
import { World } from './world.ts';

const by = 'operator:ann';
const everywhere = { labels: {}, roles: null };

const apply = (
  world: World,
  profile: string,
  priority: number,
  params: Readonly<Record<string, unknown>>,
  secrets: Readonly<Record<string, unknown>> = {},
): string | undefined =>
  world.command({ type: 'ApplyProfile', profile, priority, where: everywhere, params, secrets, by });

const pipeline = pipelineOf(`kind: pipeline
name: p
params: { token: { type: string, secret: true }, port: { type: int, default: 1 } }
roles: { all: {} }
steps:
  - { id: a, on: all, with: { token: '\${{ params.token }}', both: 'x-\${{ params.token }}' }, run: echo }
`);

t.test('a secret of a profile is a reference, and is forgotten when nothing names it', (t) => {
  const world = new World();
  world.connect('n1');
  world.pull('n1');
  t.equal(apply(world, 'site', 0, { port: 7 }, { token: 'hush-hush-hush' }), undefined);
  const [first = ''] = world.secrets.keys();
  t.match(first, /^profile\/site\/token\/\d+$/);
  t.notMatch(JSON.stringify(world.events), 'hush-hush');
  t.equal(world.run(pipeline), undefined, 'it is a value like others');
  const grant = world.events.find(({ type }) => type === 'JobGranted');
  t.match(grant, { inputs: { token: { secret: first } } }, 'which is handed on as it is');
  t.notMatch(JSON.stringify(world.events), 'hush-hush');

  apply(world, 'site', 0, { port: 7 }, { token: 'another-one' });
  t.strictSame(staleSecrets(world.secrets.keys(), world.state), [], 'a job still has the old one');
  world.finish('n1', 'succeeded');
  t.ok(staleSecrets(world.secrets.keys(), world.state).includes(first));
  const kept = [...world.secrets.keys()].at(-1) ?? '';
  t.notOk(staleSecrets(world.secrets.keys(), world.state).includes(kept));
  world.command({ type: 'RemoveProfile', profile: 'site', by });
  t.ok(staleSecrets(world.secrets.keys(), world.state).includes(kept));
  t.end();
});

t.test('of equal priority the first by name wins, also after a restart', (t) => {
  const world = new World();
  world.connect('n1');
  for (const [name, priority] of [
    ['b', 1],
    ['a', 1],
    ['c', 0],
  ] as const)
    apply(world, name, priority, { port: name === 'a' ? 3 : 4 });
  t.strictSame(
    [...world.state.profiles.keys()],
    ['c', 'b', 'a'],
    'in the order in which they are laid over each other',
  );
  const restored = throughSnapshot(world.state);
  t.strictSame([...restored.profiles.keys()], ['c', 'b', 'a']);
  t.equal(dumpState(restored), dumpState(world.state));
  t.end();
});

t.test('what is refused, and by which bound', (t) => {
  const world = new World();
  t.match(apply(world, 'No', 0, { a: 1 }), /is not a name/);
  t.match(apply(world, 'x', 0, { '9a': 1 }), /is not a param name/);
  t.match(apply(world, 'x', 0, { a: 'y'.repeat(2 ** 20) }), /param a is longer than/);
  const many = Object.fromEntries(
    Array.from({ length: limits.profileParamsMax + 1 }, (_, n) => [`p${n}`, n]),
  );
  t.match(apply(world, 'x', 0, many), /profileParamsMax is 100/);
  for (let number = 0; number < limits.profilesMax; number += 1) apply(world, `p${number}`, number, { a: 1 });
  t.match(apply(world, 'more', 0, { a: 1 }), /profilesMax is 200/);
  t.equal(apply(world, 'p7', 0, { a: 2 }), undefined, 'one that is there may be changed');
  world.secretsMax = 0;
  t.match(apply(world, 'p7', 0, {}, { a: 'hush' }), /secretsMax|secret/);
  t.end();
});
