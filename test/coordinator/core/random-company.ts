/** What random pipelines say of others beside them, from a chance of its own: older seeds tell the same stories. */
import type { Amount, Concurrency, Pipeline } from '../../../shared/pipeline/model.ts';
import type { Random } from './random-pipeline.ts';

const policies: readonly Pick<Concurrency, 'policy' | 'per'>[] = [
  { policy: 'queue' },
  { policy: 'queue' },
  { policy: 'reject' },
  { policy: 'replace' },
  { policy: 'replace', per: 'node' },
];

export const inCompany = (random: Random, pipeline: Pipeline): Pipeline =>
  random.chance(0.4)
    ? { ...pipeline, concurrency: { group: random.pick(['a', 'b']), ...random.pick(policies) } }
    : pipeline;

export const randomBudget = (random: Random): Amount | null =>
  random.pick([
    null,
    { count: 0 },
    { count: 1 },
    { count: 1 },
    { count: 2 },
    { percent: 30 },
    { percent: 60 },
  ]);
