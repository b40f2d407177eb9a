/**
 * Random pipelines, clusters, outcomes and interleavings against the oracle: promises P1, P2, P5 and P8 hold
 * after every event, every counter equals what can be computed from nothing, and every run ends once faults
 * stop. A failure names its seed: LOCKSTEP_SEED=n runs only that one.
 */
import t from 'tap';
import { electionsDue } from '../../../coordinator/core/elections.ts';
import { emptyState } from '../../../coordinator/core/empty.ts';
import { evolve } from '../../../coordinator/core/evolve.ts';
import { explainRun } from '../../../coordinator/core/explain.ts';
import { runStateOf } from '../../../coordinator/core/shown-states.ts';
import type { Run } from '../../../coordinator/core/state.ts';
import type { Amount } from '../../../shared/pipeline/model.ts';
import { DisruptionOracle } from './disruption-oracle.ts';
import { dumpState, throughSnapshot } from './dump.ts';
import { GroupOracle } from './group-oracle.ts';
import { Oracle } from './oracle.ts';
import { ParamOracle } from './param-oracle.ts';
import { withAftermath } from './random-aftermath.ts';
import { inCompany, randomBudget } from './random-company.ts';
import { randomParamChange, withParams } from './random-params.ts';
import { Random, randomPipeline } from './random-pipeline.ts';
import { WindowOracle } from './window-oracle.ts';
import { World } from './world.ts';

const only = process.env.LOCKSTEP_SEED;
const seeds = only === undefined ? Array.from({ length: 1_000 }, (_, seed) => seed + 1) : [Number(only)];

/** One story: a cluster, one to three runs, and things that happen to them. */
function play(seed: number): World {
  const random = new Random(seed);
  const world = new World();
  world.grantsPerTurn = 1 + random.below(5);
  world.credit = random.pick([1, 2, 64]);
  const company = new Random(seed + 1_000_000);
  const oracle = new Oracle();
  const groups = new GroupOracle();
  const disruption = new DisruptionOracle();
  const windows = new WindowOracle();
  const layers = new ParamOracle();
  const params = new Random(seed + 2_000_000);
  world.onEvent = (event) => {
    if (only !== undefined) console.error(JSON.stringify(event).slice(0, 300));
    oracle.check(event);
    groups.check(event);
    disruption.check(event);
    windows.check(event);
    layers.check(event);
  };
  for (const event of world.events) oracle.check(event);
  if (company.chance(0.4)) setBudget(world, randomBudget(company));
  const names = Array.from({ length: 2 + random.below(7) }, (_, index) => `n${index + 1}`);
  for (const [index, name] of names.entries()) {
    world.connect(name, { rack: `r${index % 3}`, kind: index % 2 === 0 ? 'even' : 'odd' });
  }
  const runs = 1 + random.below(3);
  for (let count = 0; count < runs; count += 1) {
    submit(world, random, company);
  }
  for (let step = 0; step < 150 && world.state.activeRuns.size > 0; step += 1) {
    act(world, random, names);
    if (company.chance(0.01)) submit(world, company, company);
    if (company.chance(0.01)) setBudget(world, randomBudget(company));
    if (params.chance(0.1)) world.command(randomParamChange(params, names));
  }
  compare(world);
  calm(world, names);
  return world;
}

function submit(world: World, random: Random, company: Random): void {
  const pipeline = withParams(withAftermath(company, inCompany(company, randomPipeline(random))));
  const fault = world.run(pipeline);
  if (fault !== undefined && pipeline.concurrency?.policy !== 'reject') throw new Error(fault);
}

const setBudget = (world: World, maxUnavailable: Amount | null): void => {
  world.command({ type: 'SetDisruptionBudget', cluster: 'default', maxUnavailable, by: 'operator:test' });
};

function act(world: World, random: Random, names: readonly string[]): void {
  const node = random.pick(names);
  const known = world.state.nodes.get(node);
  const held = world.attemptOn(node) !== undefined;
  const kind = random.below(100);
  if (known === undefined) return;
  if (kind < 55) {
    if (!held) world.pull(node);
    else if (random.chance(0.3)) world.start(node);
    else if (known.contact === 'connected') {
      const outcome = random.pick([
        'succeeded',
        'succeeded',
        'succeeded',
        'failed',
        'timed-out',
        'interrupted',
        'not-started',
      ] as const);
      const job = world.held.get(node)?.[0]?.job;
      if (outcome === 'failed' && (job?.attemptsMax ?? 1) > 1) world.retry(node);
      else if (outcome === 'succeeded' && random.chance(0.1)) {
        world.finish(node, outcome, { reboot: { boot: world.bootOf(node) } });
      } else world.finish(node, outcome);
    }
  } else if (kind < 65) {
    if (known.contact !== 'connected') {
      // What it was granted it goes through by itself meanwhile.
      while (world.attemptOn(node) !== undefined && random.chance(0.5)) world.finishSilently(node);
      world.connect(node);
    } else world.disconnect(node);
  } else if (kind < 67) reboot(world, node, random.pick(['accepted', 'ended'] as const));
  else if (kind < 72) world.wait(random.pick([500, 5_000, 61_000, 1_000_000]));
  else if (kind < 76) {
    world.command({
      type: 'AdministerNode',
      node,
      administration: random.pick(['in-service', 'in-service', 'cordoned', 'maintenance'] as const),
      by: 'operator:test',
      reason: 'test',
    });
  } else if (kind < 78) {
    // The state folder is gone: a new life under the same name, after the old one was given up; or on another machine.
    if (known.contact === 'unreachable' || (known.contact === 'disconnected' && random.chance(0.5))) {
      if (known.contact === 'disconnected' || random.chance(0.3))
        world.command({ type: 'ReplaceNode', node, by: 'operator:test', reason: 'test' });
      world.boots.set(node, `${world.bootOf(node)}+`);
      world.held.delete(node);
      world.incarnations.set(node, `inc-${node}-${world.events.length}`);
      world.counters.set(node, 0);
      world.connect(node);
    }
  } else if (kind < 82) {
    world.obeyCancels();
    world.obeyRecalls();
  } else if (kind < 97) decideSomething(world, random);
  else if (random.chance(0.1)) {
    const [run] = world.state.activeRuns.values();
    if (run !== undefined)
      world.command({ type: 'CancelRun', run: run.id, by: 'operator:test', reason: 'test' });
  }
}

/** Whatever the node held is over: begun and so interrupted, or not begun. */
function reboot(world: World, node: string, held: 'accepted' | 'ended'): void {
  const before = world.held.get(node) ?? [];
  if (world.state.nodes.get(node)?.contact === 'connected') world.disconnect(node);
  world.boots.set(node, `${world.bootOf(node)}+`);
  world.connect(node);
  if (held === 'accepted') return;
  for (const { attempt, state } of before.splice(0)) {
    world.report(node, attempt, state === 'running' ? 'interrupted' : 'not-started');
  }
  world.pull(node);
}

function decideSomething(world: World, random: Random): void {
  const by = 'operator:test';
  for (const run of world.state.activeRuns.values()) {
    const unit = run.units.find(({ approval }) => approval.kind === 'requested');
    if (unit !== undefined) world.command({ type: 'ApproveUnit', run: run.id, unit: null, by, reason: '' });
    for (const step of run.steps) {
      for (const [node, job] of step.jobs) {
        if (job.state !== 'held' && !(job.state === 'unknown' && random.chance(0.2))) continue;
        const as = random.pick(['succeeded', 'failed', 'again'] as const);
        world.command({ type: 'DecideJob', job: `${run.id}/${step.step.id}/${node}`, as, by, reason: '' });
      }
    }
    if (run.hold === null) continue;
    const kind = random.pick(['continue', 'retry-failed', 'accept-failed'] as const);
    world.command({ type: 'ResumeRun', run: run.id, how: { kind }, by, reason: '' });
  }
}

/** Faults stop: nodes come back, agents do what they are told, operators answer. Everything must end. */
function calm(world: World, names: readonly string[]): void {
  const by = 'operator:test';
  // One node at a time is enough for everything to end.
  if (world.state.budgets.size > 0) setBudget(world, { count: 1 });
  for (let round = 0; round < 400; round += 1) {
    // But not for those that had more slots when it was lowered.
    if (round === 200) setBudget(world, null);
    if (world.state.activeRuns.size === 0) return;
    for (const node of names) {
      world.command({ type: 'AdministerNode', node, administration: 'in-service', by, reason: '' });
      if (world.state.nodes.get(node)?.segment.some((job) => job.reboot !== null) === true)
        reboot(world, node, 'accepted');
      if (world.state.nodes.get(node)?.contact !== 'connected') world.connect(node);
      world.obeyCancels();
      world.obeyRecalls();
      while (world.attemptOn(node) !== undefined) world.finish(node, 'succeeded');
      world.pull(node);
    }
    for (const run of [...world.state.activeRuns.values()]) {
      for (const { unit } of run.units) {
        world.command({ type: 'ApproveUnit', run: run.id, unit: unit.id, by, reason: '' });
      }
      for (const step of run.steps) {
        for (const [node, job] of step.jobs) {
          if (job.state !== 'held') continue;
          world.command({
            type: 'DecideJob',
            job: `${run.id}/${step.step.id}/${node}`,
            as: 'succeeded',
            by,
            reason: '',
          });
        }
      }
      for (const { role, leader, candidates } of run.hold === null ? [] : electionsDue(run)) {
        const [node] = candidates;
        if (node !== undefined)
          world.command({
            type: 'ResumeRun',
            run: run.id,
            how: { kind: 'elect', node, role },
            by,
            reason: '',
          });
        else if (leader !== null)
          world.command({ type: 'ResumeRun', run: run.id, how: { kind: 'retry-failed' }, by, reason: '' });
      }
      for (const kind of ['continue', 'accept-failed'] as const) {
        if (run.hold !== null)
          world.command({ type: 'ResumeRun', run: run.id, how: { kind }, by, reason: '' });
      }
      electLeaders(world, run);
    }
    world.wait(2_000);
  }
  const stuck = [...world.state.activeRuns.values()].map(
    (run) =>
      `${run.id} ${runStateOf(run)}: ${explainRun(world.state, run, () => undefined)
        .map(({ sentence }) => sentence)
        .join(' | ')}`,
  );
  throw new Error(`does not end: ${stuck.join('; ')}`);
}

/** Where a kept leader is not in its role any more, nothing but an election helps. */
function electLeaders(world: World, run: Run): void {
  for (const { name, leader, nodes } of run.roles.values()) {
    const [node] = nodes;
    if (run.hold === null || leader !== null || node === undefined) continue;
    const how = { kind: 'elect', node, role: name } as const;
    world.command({ type: 'ResumeRun', run: run.id, how, by: 'operator:test', reason: '' });
  }
}

function compare(world: World): void {
  const live = dumpState(world.state);
  const folded = emptyState();
  for (const event of world.events) evolve(folded, event);
  if (dumpState(folded) !== live)
    throw new Error(`P5: the fold differs: ${firstDifference(live, dumpState(folded))}`);
  const restored = dumpState(throughSnapshot(world.state));
  if (restored !== live) throw new Error(`P5: a counter is wrong: ${firstDifference(live, restored)}`);
  for (const run of world.state.activeRuns.values()) {
    const unfinished = explainRun(world.state, run, () => undefined);
    if (unfinished.some(({ sentence }) => sentence === '')) throw new Error('P10: no explanation');
  }
}

function firstDifference(a: string, b: string): string {
  const left = a.split('\n');
  const right = b.split('\n');
  const index = left.findIndex((line, at) => line !== right[at]);
  return `line ${index}: ${left.slice(Math.max(0, index - 12), index + 2).join(' ')} ≠ ${right.slice(index, index + 2).join(' ')}`;
}

t.test('random stories keep the promises', (t) => {
  for (const seed of seeds) {
    try {
      play(seed);
    } catch (error) {
      t.fail(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`, {
        reproduce: `LOCKSTEP_SEED=${seed} npx tap run test/coordinator/core/random-runs.test.ts`,
      });
      break;
    }
  }
  t.pass(`${seeds.length} seeds`);
  t.end();
});

t.test('the same seed gives the same journal', (t) => {
  for (const seed of seeds.slice(0, 20)) {
    t.equal(JSON.stringify(play(seed).events), JSON.stringify(play(seed).events), `seed ${seed}`);
  }
  t.end();
});
