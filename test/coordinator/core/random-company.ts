/** What random pipelines say of others beside them, from a chance of its own: older seeds tell the same stories. */
import type { Amount, Concurrency, Pipeline, Unit, Window } from '../../../shared/pipeline/model.ts';
import type { Random } from './random-pipeline.ts';

const policies: readonly Pick<Concurrency, 'policy' | 'per'>[] = [
  { policy: 'queue' },
  { policy: 'queue' },
  { policy: 'reject' },
  { policy: 'replace' },
  { policy: 'replace', per: 'node' },
];

/** Open for one to four minutes of every five, some time. */
const randomWindow = (random: Random): Window => ({
  cron: `${random.below(5)}-59/5 * * * *`,
  timezone: random.pick(['UTC', 'Europe/Prague', 'Asia/Kathmandu']),
  durationMs: (1 + random.below(4)) * 60_000,
});

const inWindows = (random: Random, units: readonly Unit[]): readonly Unit[] => {
  const whole = random.chance(0.3) ? randomWindow(random) : undefined;
  return units.map((unit) => {
    const window = random.chance(0.2) ? randomWindow(random) : whole;
    return window === undefined || unit.finally === true ? unit : { ...unit, window };
  });
};

export function inCompany(random: Random, pipeline: Pipeline): Pipeline {
  const units = random.chance(0.3) ? inWindows(random, pipeline.units) : pipeline.units;
  if (!random.chance(0.4)) return { ...pipeline, units };
  return { ...pipeline, units, concurrency: { group: random.pick(['a', 'b']), ...random.pick(policies) } };
}

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
