/** Params of random pipelines, and what operators do to their layers meanwhile: profiles, cluster, nodes. */
import type { Command } from '../../../coordinator/core/commands.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';
import type { Random } from './random-pipeline.ts';

export const withParams = (pipeline: Pipeline): Pipeline => ({
  ...pipeline,
  params: {
    ...pipeline.params,
    size: { type: 'int', secret: false, default: 0 },
    zone: { type: 'string', secret: false, default: 'none' },
  },
});

export function randomParamChange(random: Random, names: readonly string[]): Command {
  const by = 'operator:test';
  const name = random.pick(['size', 'zone']);
  const value = name === 'size' ? 1 + random.below(1_000) : `z${random.below(1_000)}`;
  const kind = random.below(10);
  if (kind < 6) {
    return {
      type: 'ApplyProfile',
      profile: random.pick(['a', 'b', 'c']),
      priority: random.below(3),
      where: {
        labels: random.pick([
          {},
          { rack: ['r0', 'r1'] },
          { kind: ['odd'] },
          { rack: ['r2'], kind: ['even'] },
        ]),
        roles: random.pick([null, null, ['odd'], ['even', 'odd']]),
      },
      params: { [name]: value },
      secrets: {},
      by,
    };
  }
  if (kind < 8) return { type: 'RemoveProfile', profile: random.pick(['a', 'b', 'c']), by };
  const scope = kind === 8 ? { cluster: 'default' } : { node: random.pick(names) };
  return random.chance(0.5)
    ? { type: 'SetParam', scope, name, value, secret: false, by }
    : { type: 'UnsetParam', scope, name, by };
}
