/** Puts `rescue` and `always` on some steps and groups of a pipeline, as the language allows. */
import type { AftermathPart, Pipeline, Step, Unit } from '../../../shared/pipeline/model.ts';
import type { Random } from './random-pipeline.ts';

export function withAftermath(random: Random, pipeline: Pipeline): Pipeline {
  const lasts = new Map<string, string>();
  const units = pipeline.units.map((unit) => {
    if (unit.finally === true || !random.chance(0.35)) return unit;
    const extended = extend(random, unit);
    lasts.set(unit.steps.at(-1)?.id ?? '', extended.steps.at(-1)?.id ?? '');
    return extended;
  });
  return { ...pipeline, units: units.map((unit) => waitingFor(lasts, unit)) };
}

function extend(random: Random, unit: Unit): Unit {
  const steps = unit.steps.map(
    (step): Step => (step.offline === 'defer' ? { ...step, offline: 'wait' } : step),
  );
  const parts: AftermathPart[] = random.pick([['rescue'], ['always'], ['rescue', 'always']]);
  for (const part of parts) {
    const count = 1 + random.below(2);
    for (let index = 0; index < count; index += 1) {
      const before = steps.at(-1);
      const needs = before?.part === undefined ? [] : [{ step: before.id, sameNode: true }];
      steps.push(after(random, `${unit.id}-${part}${index}`, unit, needs, part));
    }
  }
  return { ...unit, steps };
}

function after(random: Random, id: string, unit: Unit, needs: Step['needs'], part: AftermathPart): Step {
  const rerun = random.pick(['idempotent', 'verify-first', 'never-twice'] as const);
  return {
    id,
    on: unit.on,
    needs,
    tasks: unit.steps[0]?.tasks ?? [],
    with: {},
    timeoutMs: 60_000,
    retry: { attempts: random.chance(0.3) && rerun !== 'never-twice' ? 2 : 1, backoffMs: 0 },
    rerun,
    outputs: {},
    leaves: 'nothing',
    offline: 'skip',
    unknownAfterMs: 60_000,
    part,
    ...(random.chance(0.15) ? { runOn: { role: 'all', who: random.pick(['leader', 'all'] as const) } } : {}),
    ...(random.chance(0.15) ? { if: 'node.labels.rack != "r1"' } : {}),
  };
}

/** Who waits for the last step of a unit waits for what comes after it as well. */
function waitingFor(lasts: ReadonlyMap<string, string>, unit: Unit): Unit {
  const own = new Set(unit.steps.map(({ id }) => id));
  const steps = unit.steps.map((step) => {
    const more = step.needs.flatMap((need) => {
      const last = own.has(need.step) ? undefined : lasts.get(need.step);
      return last === undefined ? [] : [{ ...need, step: last }];
    });
    return more.length === 0 ? step : { ...step, needs: [...step.needs, ...more] };
  });
  return { ...unit, steps };
}
