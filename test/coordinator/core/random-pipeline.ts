/** Random pipelines and clusters from a seed, as models: whatever the language allows may come out. */
import type {
  Amount,
  Pipeline,
  RerunClass,
  Step,
  Strategy,
  Target,
  Unit,
} from '../../../shared/pipeline/model.ts';

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** 0 ≤ x < 1. Mulberry32: small, good enough, the same everywhere. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }
}

const whole: Amount = { percent: 100 };
const noBudget = { maxFailed: { count: 0 }, maxUnknown: { count: 0 }, maxUnreachable: { count: 0 } };

function randomStrategy(random: Random): Strategy {
  const amount = (): Amount =>
    random.chance(0.5) ? { count: 1 + random.below(3) } : { percent: 10 + random.below(60) };
  const budget = (): Amount => ({ count: random.chance(0.7) ? 0 : 1 + random.below(2) });
  const budgets = random.chance(0.5)
    ? noBudget
    : { maxFailed: budget(), maxUnknown: budget(), maxUnreachable: budget() };
  if (random.chance(0.5)) {
    return { kind: 'parallel', budgets, ...(random.chance(0.3) ? { maxParallel: amount() } : {}) };
  }
  return {
    kind: 'rolling',
    maxUnavailable: amount(),
    ...(random.chance(0.5)
      ? {
          by: {
            label: 'rack',
            domains: 1 + random.below(2),
            ...(random.chance(0.3) ? { perDomain: 1 + random.below(2) } : {}),
          },
        }
      : {}),
    waves: random.chance(0.3) ? [{ count: 1 }, { percent: 50 }, { percent: 100 }] : [{ percent: 100 }],
    pauseMs: random.chance(0.2) ? 1_000 : 0,
    budgets,
  };
}

const executors: readonly Target[] = [
  { role: 'all', who: 'leader' },
  { role: 'all', who: 'all' },
  { role: 'all', who: 'rest' },
];

const reruns: readonly RerunClass[] = ['idempotent', 'verify-first', 'never-twice'];

/** `more`: what only hosts can answer, as a whole simulated cluster has them. */
export function randomPipeline(random: Random, more = false): Pipeline {
  const roles: Pipeline['roles'] = {
    all: { name: 'all', select: 'true', except: [], optional: false },
    odd: { name: 'odd', select: 'labels.kind == "odd"', except: [], optional: true },
    even: {
      name: 'even',
      select: 'labels.kind == "even"',
      except: [],
      optional: true,
      count: 2,
      spread: 'rack',
    },
  };
  const targets: readonly Target[] = [
    { role: 'all', who: 'all' },
    { role: 'all', who: 'all' },
    { role: 'all', who: 'leader' },
    { role: 'all', who: 'rest' },
    { role: 'odd', who: 'all' },
    { role: 'even', who: 'all' },
  ];
  const units: Unit[] = [];
  const count = 1 + random.below(5);
  for (let index = 0; index < count; index += 1) {
    const picked = random.pick(targets);
    const group = random.chance(0.3);
    const scope = !group && random.chance(0.12) ? { role: picked.role } : undefined;
    const on: readonly Target[] = [scope === undefined ? picked : { role: picked.role, who: 'leader' }];
    const stepCount = group ? 2 + random.below(2) : 1;
    const steps: Step[] = [];
    for (let position = 0; position < stepCount; position += 1) {
      const step = randomStep(random, `s${index}-${position}`, on, units, steps, position > 0, more);
      steps.push(scope === undefined ? step : scopedToRole(step, scope));
    }
    units.push({
      id: group ? `g${index}` : (steps[0]?.id ?? ''),
      kind: group ? 'group' : 'step',
      on,
      steps,
      strategy: scope === undefined ? randomStrategy(random) : { kind: 'parallel', budgets: noBudget },
      ...(random.chance(0.1) ? { approve: 'go on?' } : {}),
    });
  }
  if (random.chance(0.3)) units.push(...randomEnd(random, targets, more));
  return { name: 'random', params: {}, roles, units, modules: {} };
}

/** Once for all nodes of the role: what goes with that and no more. */
function scopedToRole(
  { runOn: _, reboot: __, offline, ...step }: Step,
  scope: { readonly role: string },
): Step {
  return { ...step, scope, offline: offline === 'defer' ? 'wait' : offline };
}

/** Steps of `finally`: nothing of them stops the rest of them. */
function randomEnd(random: Random, targets: readonly Target[], more: boolean): readonly Unit[] {
  const budgets = { maxFailed: whole, maxUnknown: whole, maxUnreachable: whole };
  const units: Unit[] = [];
  const count = 1 + random.below(2);
  for (let index = 0; index < count; index += 1) {
    const on = [random.pick(targets)];
    const { onUnknown: _, reboot: __, ...step } = randomStep(random, `f${index}`, on, units, [], false, more);
    const offline = step.offline === 'defer' ? 'skip' : step.offline;
    const steps: Step[] = [{ ...step, offline }];
    units.push({
      id: step.id,
      kind: 'step',
      on,
      steps,
      strategy: { kind: 'parallel', budgets },
      finally: true,
    });
  }
  return units;
}

function randomStep(
  random: Random,
  id: string,
  on: readonly Target[],
  units: readonly Unit[],
  before: readonly Step[],
  inGroup: boolean,
  more: boolean,
): Step {
  const needs: { step: string; sameNode: boolean }[] = [];
  const previous = before.at(-1);
  if (inGroup && previous !== undefined) needs.push({ step: previous.id, sameNode: true });
  const earlier = units.flatMap((unit) => unit.steps.slice(-1));
  const graph = random.chance(0.4);
  const wanted = graph ? earlier.filter(() => random.chance(0.4)) : inGroup ? [] : earlier.slice(-1);
  const isLeaderStep = (step: Step): boolean => step.on.some((target) => target.who === 'leader');
  for (const step of wanted) {
    const sameNode = !isLeaderStep(step) && on[0]?.who !== 'leader' && random.chance(0.4);
    needs.push({ step: step.id, sameNode });
  }
  const rerun = random.pick(reruns);
  const runOn = random.chance(0.15) ? random.pick(executors) : undefined;
  return {
    id,
    on,
    needs,
    tasks: [{ run: { shell: ['sh', '-e'], text: 'true' }, check: { shell: ['sh', '-e'], text: 'false' } }],
    with: {},
    timeoutMs: 60_000,
    retry: {
      attempts: random.chance(0.3) && rerun !== 'never-twice' ? 2 + random.below(2) : 1,
      backoffMs: more && random.chance(0.5) ? 15_000 : 0,
    },
    rerun,
    outputs: {},
    leaves: 'nothing',
    offline: random.chance(0.2)
      ? random.pick(['skip', runOn === undefined ? 'defer' : 'skip'] as const)
      : 'wait',
    ...(random.chance(0.1) ? { onUnknown: random.pick(['hold', 'stop'] as const) } : {}),
    unknownAfterMs: 60_000,
    ...(runOn === undefined ? {} : { runOn }),
    // Who carries it out for others is rebooted by its script at most.
    ...(more && random.chance(0.08)
      ? { ...(runOn === undefined ? { reboot: 'after' } : {}), rebootTimeoutMs: 120_000 }
      : {}),
    ...(random.chance(0.15) ? { if: 'node.labels.rack != "r1"' } : {}),
  };
}
