/**
 * A deliberately simple judge of the journal: it keeps every event, recomputes from scratch what each event
 * was allowed to assume, and knows nothing of counters, queues or slots as the core keeps them.
 */
import type { Event } from '../../../coordinator/core/events.ts';
import { evaluateCondition } from '../../../shared/expressions/evaluate.ts';
import type { Pipeline, Step, Target, Unit } from '../../../shared/pipeline/model.ts';
import { AftermathOracle } from './aftermath-oracle.ts';

type RoleMembers = { nodes: readonly string[]; leader: string | null };
type Attempt = {
  number: number;
  live: boolean;
  outcome: string | null;
  executor: string;
  nodes: readonly string[];
  leaves?: string;
};
type Labels = Readonly<Record<string, string>>;
type NodeKnown = { boot: string; own: Labels; given: Labels; unreachable: boolean; inService: boolean };
/** Of a unit in a run, as they were when it was planned, or when an elected leader changed them. */
type Frozen = { nodes: ReadonlySet<string>; labels: ReadonlyMap<string, Labels> };

export class Oracle {
  #seq = 0;
  readonly #nodes = new Map<string, NodeKnown>();
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #onlyChecks = new Set<string>();
  readonly #frozen = new Map<string, Frozen>();
  readonly #roles = new Map<string, Map<string, RoleMembers>>();
  /** Where runs begin that do not begin at their first step. */
  readonly #from = new Map<string, string>();
  readonly #ended = new Set<string>();
  readonly #out = new Set<string>();
  /** Runs of which the outcome is known, so that only their last steps are still done. */
  readonly #concluded = new Set<string>();
  readonly #approved = new Set<string>();
  readonly #settled = new Set<string>();
  readonly #failed = new Set<string>();
  /** Jobs that only an operator's decision lets go on. */
  readonly #held = new Set<string>();
  /** Nobody waits for these, but for what comes after them on their own node. */
  readonly #deferred = new Set<string>();
  readonly #attempts = new Map<string, Attempt[]>();
  readonly #slots = new Map<string, Set<string>>();
  readonly #mayRepeat = new Map<string, boolean>();
  readonly #waves = new Map<string, Map<string, number>>();
  readonly #stopped = new Set<string>();
  /** The jobs that were granted to a node together, last. */
  readonly #segments = new Map<string, Set<string>>();

  readonly #aftermath = new AftermathOracle({
    units: (run) => this.#units(run),
    nodesIn: (run, unit) => this.#nodesIn(run, unit),
    isSettled: (run, step, node) => this.#isSettled(run, step, node),
    hasFailed: (run, step, node) => this.#failed.has(`${run}/${step}/${node}`),
    isLive: (run, step, node) => this.#attempts.get(`${run}/${step}/${node}`)?.at(-1)?.live === true,
    wasGranted: (run, step, node) => this.#attempts.has(`${run}/${step}/${node}`),
    allowAgain: (job) => this.#mayRepeat.set(job, true),
  });

  check(event: Event): void {
    this.#note(event);
    this.#aftermath.check(event);
  }

  #note(event: Event): void {
    this.#seq += 1;
    this.#require(event.seq === this.#seq, `P5: seq ${event.seq} follows ${this.#seq - 1}`);
    switch (event.type) {
      case 'NodeConnected':
        this.#nodes.set(event.node, {
          boot: event.boot,
          own: event.labels,
          given: this.#nodes.get(event.node)?.given ?? {},
          unreachable: false,
          inService: this.#nodes.get(event.node)?.inService ?? true,
        });
        return;
      case 'NodeLabelled': {
        const known = this.#node(event.node);
        const kept = Object.entries(known.given).filter(([key]) => !event.unset.includes(key));
        known.given = { ...Object.fromEntries(kept), ...event.set };
        return;
      }
      case 'NodeRemoved':
        this.#nodes.delete(event.node);
        return;
      case 'NodeUnreachable':
        this.#node(event.node).unreachable = true;
        return;
      case 'NodeAdministered':
        this.#node(event.node).inService = event.administration === 'in-service';
        return;
      case 'RunCreated':
        this.#pipelines.set(event.run, event.pipeline);
        if (event.checkOnly) this.#onlyChecks.add(event.run);
        this.#roles.set(event.run, new Map());
        return;
      case 'StepsLeftOut':
        this.#from.set(event.run, event.from);
        return;
      case 'RunPlanned':
        this.#roles.set(
          event.run,
          new Map(Object.entries(event.roles).map(([name, role]) => [name, { ...role }])),
        );
        for (const unit of this.#units(event.run)) this.#freeze(event.run, unit);
        return;
      case 'LeaderElected':
        this.#elect(event.run, event.role, event.node);
        return;
      case 'ApprovalGiven':
        this.#approved.add(`${event.run}/${event.unit}`);
        return;
      case 'WaveOpened':
        this.#checkWave(event.run, event.unit, event.nodes);
        return;
      case 'SlotTaken':
        this.#checkSlot(event.run, event.unit, event.node);
        return;
      case 'SlotReleased':
        this.#slots.get(`${event.run}/${event.unit}`)?.delete(event.node);
        return;
      case 'JobGranted':
        this.#checkGrant(event);
        return;
      case 'AttemptEnded':
        this.#endAttempt(event);
        return;
      case 'JobSkipped':
        this.#deferred.delete(jobOf(event));
        this.#settled.add(jobOf(event));
        return;
      case 'JobDeferred':
        this.#settled.add(jobOf(event));
        this.#deferred.add(jobOf(event));
        return;
      case 'JobFailed': {
        const last = this.#attempts.get(jobOf(event))?.at(-1);
        if (last !== undefined) last.live = false;
        this.#failed.add(jobOf(event));
        return;
      }
      case 'JobRebooted':
        this.#endReboot(event);
        return;
      case 'JobRequeued':
        this.#mayRepeat.set(jobOf(event), true);
        return;
      case 'JobDecided':
        this.#decide(event);
        return;
      case 'JobHeld':
        this.#hold(jobOf(event));
        return;
      case 'AttemptDisclosed':
        this.#disclose(event);
        return;
      case 'RunFailing':
        this.#stopped.add(event.run);
        return;
      case 'RunHeld':
        this.#stopped.add(event.run);
        return;
      case 'RunCancelRequested':
        this.#stopped.add(`${event.run} for good`);
        return;
      case 'RunResumed':
        this.#resume(event);
        return;
      case 'NodeLeft':
        this.#out.add(`${event.run}/${event.node}`);
        return;
      case 'RunConcluded':
        this.#conclude(event.run);
        return;
      case 'RunEnded':
        this.#ended.add(event.run);
        return;
      default:
        return;
    }
  }

  #require(condition: boolean, message: string): asserts condition {
    if (!condition) throw new Error(message);
  }

  #node(name: string): NodeKnown {
    const node = this.#nodes.get(name);
    this.#require(node !== undefined, `unknown node ${name}`);
    return node;
  }

  #units(run: string): readonly Unit[] {
    return this.#pipelines.get(run)?.units ?? [];
  }

  #freeze(run: string, unit: Unit): void {
    const nodes = this.#nodesOf(run, unit.on);
    const labels = new Map(
      [...nodes].map((name) => [name, { ...this.#node(name).own, ...this.#node(name).given }] as const),
    );
    this.#frozen.set(`${run}/${unit.id}`, { nodes, labels });
    if (!this.#isLeftOut(run, unit)) return;
    for (const { id } of unit.steps) for (const node of nodes) this.#settled.add(`${run}/${id}/${node}`);
  }

  #isLeftOut(run: string, unit: Unit): boolean {
    const ids = this.#units(run).map(({ id }) => id);
    return ids.indexOf(unit.id) < ids.indexOf(this.#from.get(run) ?? '');
  }

  /** What nobody has begun passes to the new leader; the rest stays with those who have it. */
  #elect(run: string, roleName: string, node: string): void {
    const role = this.#roles.get(run)?.get(roleName);
    if (role === undefined || role.leader === node) return;
    role.leader = node;
    for (const unit of this.#units(run)) {
      if (!unit.on.some(({ role, who }) => role === roleName && who !== 'all')) continue;
      const before = this.#nodesIn(run, unit);
      const isBegun = unit.steps.some(({ id }) => [...before].some((name) => this.#isBegun(run, id, name)));
      if (isBegun) continue;
      this.#freeze(run, unit);
      this.#slots.delete(`${run}/${unit.id}`);
      this.#waves.delete(`${run}/${unit.id}`);
    }
  }

  #isBegun(run: string, step: string, node: string): boolean {
    const id = `${run}/${step}/${node}`;
    const live = this.#attempts.get(id)?.at(-1)?.live === true;
    return live || this.#failed.has(id) || this.#isSettled(run, step, node);
  }

  #nodesIn(run: string, unit: Unit): ReadonlySet<string> {
    return this.#frozen.get(`${run}/${unit.id}`)?.nodes ?? new Set();
  }

  #unitOf(run: string, step: string): Unit {
    const unit = this.#units(run).find((one) => one.steps.some(({ id }) => id === step));
    this.#require(unit !== undefined, `unit of ${step}`);
    return unit;
  }

  #stepOf(run: string, id: string): Step {
    const step = this.#unitOf(run, id).steps.find((one) => one.id === id);
    this.#require(step !== undefined, `step ${id}`);
    return step;
  }

  #nodesOf(run: string, targets: readonly Target[]): ReadonlySet<string> {
    const nodes = new Set<string>();
    for (const { role, who } of targets) {
      const members = this.#roles.get(run)?.get(role);
      for (const node of members?.nodes ?? []) {
        if (who === 'all' || (who === 'leader') === (node === members?.leader)) nodes.add(node);
      }
    }
    return nodes;
  }

  #isSettled(run: string, step: string, node: string): boolean {
    const id = `${run}/${step}/${node}`;
    const unit = this.#unitOf(run, step);
    if (unit.finally === true) return this.#settled.has(id) || this.#failed.has(id);
    const own = this.#stepOf(run, step);
    if (own.part !== undefined) return this.#aftermath.isSettled(run, unit, own, node);
    return this.#settled.has(id) || this.#out.has(`${run}/${node}`);
  }

  #conclude(run: string): void {
    this.#require(!this.#concluded.has(run), `${run} is concluded twice`);
    for (const [id, attempts] of this.#attempts) {
      if (id.startsWith(`${run}/`))
        this.#require(attempts.at(-1)?.live !== true, `P1: ${run} is concluded while ${id} is live`);
    }
    this.#concluded.add(run);
    this.#stopped.delete(run);
    this.#stopped.delete(`${run} for good`);
  }

  #checkGrant(event: Extract<Event, { type: 'JobGranted' }>): void {
    const { run, node } = event;
    const id = jobOf(event);
    const step = this.#stepOf(run, event.step);
    const unit = this.#unitOf(run, event.step);
    this.#require(!this.#ended.has(run), `P1: ${id} granted after the run ended`);
    this.#require(!this.#isLeftOut(run, unit), `P1: ${id} granted, and the run begins after it`);
    const after = step.part !== undefined;
    if (after) this.#aftermath.checkGrant(event, unit, step);
    this.#require(after || !this.#stopped.has(run), `P1: ${id} granted while the run is failing or held`);
    this.#require(
      after || !this.#stopped.has(`${run} for good`),
      `P1: ${id} granted while the run is cancelled`,
    );
    const atEnd = unit.finally === true;
    this.#require(
      this.#concluded.has(run) === atEnd,
      `P1: ${id} granted ${atEnd ? 'before' : 'after'} the outcome was known`,
    );
    this.#require(
      atEnd || after || !this.#out.has(`${run}/${node}`),
      `P1: ${id} granted to a node that left`,
    );
    this.#require(this.#nodesIn(run, unit).has(node), `P1: ${id} granted to a node that is not in the step`);
    for (const need of step.needs) {
      const nodes = this.#nodesIn(run, this.#unitOf(run, need.step));
      for (const other of nodes) {
        if (need.sameNode && other !== node) continue;
        // In a segment the node's own job before it is a gate that only the node sees open.
        const isAhead =
          event.segment !== undefined &&
          other === node &&
          this.#segments.get(node)?.has(`${run}/${need.step}/${node}`) === true;
        const isDue = other === node && this.#deferred.has(`${run}/${need.step}/${node}`);
        this.#require(
          isAhead || (!isDue && this.#isSettled(run, need.step, other)),
          `P1: ${id} granted before ${need.step} on ${other}`,
        );
      }
    }
    const { own, given } = this.#node(node);
    // Whether it holds is looked at once, and an operator may change labels after that.
    if (step.if !== undefined && step.runOn === undefined && Object.keys(given).length === 0) {
      const condition = evaluateCondition(step.if, { node: { name: node, labels: own } });
      this.#require(
        !condition.ok || condition.value,
        `P1: ${id} granted although its condition does not hold`,
      );
    }
    if (unit.approve !== undefined && !after && !this.#onlyChecks.has(run)) {
      this.#require(this.#approved.has(`${run}/${unit.id}`), `P1: ${id} granted without approval`);
    }
    if (unit.strategy.kind === 'rolling' && (!after || this.#aftermath.hasBegun(run, unit, node))) {
      this.#require(
        this.#slots.get(`${run}/${unit.id}`)?.has(node) === true,
        `P8: ${id} granted without a slot`,
      );
    }
    const attempts = this.#attempts.get(id) ?? [];
    const last = attempts.at(-1);
    this.#require(!this.#held.has(id), `P2: ${id} is granted while it is held`);
    this.#require(last === undefined || !last.live, `P2: ${id} has two live attempts`);
    this.#require(event.attempt > (last?.number ?? 0), `P2: ${id} attempt ${event.attempt} again`);
    if (last !== undefined) {
      this.#require(this.#mayRepeat.get(id) === true, `P2: ${id} repeated without evidence or a decision`);
      this.#mayRepeat.set(id, false);
    }
    const nodes = event.targets ?? [node];
    const role =
      step.scope === undefined ? [node] : this.#nodesOf(run, [{ role: step.scope.role, who: 'all' }]);
    this.#require(
      nodes.every((one) => new Set(role).has(one)),
      `P1: ${id} was granted for ${nodes.join(', ')}, which are not all of its role`,
    );
    const segment = event.segment === undefined ? new Set<string>() : this.#segments.get(node);
    const executor = event.executor ?? node;
    this.#require(
      step.runOn === undefined ? executor === node : this.#nodesOf(run, [step.runOn]).has(executor),
      `P1: ${id} granted to ${executor}, who is not its executor`,
    );
    for (const [other, list] of this.#attempts) {
      const last = list.at(-1);
      if (last?.live !== true || segment?.has(other) === true) continue;
      this.#require(last.executor !== executor, `P1: ${executor} has two jobs: ${id} and ${other}`);
      const both = nodes.find((one) => last.nodes.includes(one));
      this.#require(both === undefined, `P1: two jobs are done for ${both}: ${id} and ${other}`);
      // What is for a whole role is for nodes that do nothing else, not even for others.
      const busy =
        event.targets?.includes(last.executor) === true ||
        (last.nodes.length > 1 && last.nodes.includes(executor));
      this.#require(!busy, `P1: ${id} and ${other} are for a whole role and by one of its nodes`);
    }
    this.#segments.set(node, new Set([...(segment ?? []), id]));
    attempts.push({ number: event.attempt, live: true, outcome: null, executor, nodes });
    this.#attempts.set(id, attempts);
  }

  #endAttempt(event: Extract<Event, { type: 'AttemptEnded' }>): void {
    const id = jobOf(event);
    const last = this.#attempts.get(id)?.at(-1);
    this.#require(last?.live === true, `P2: ${id} ended without a live attempt`);
    last.number = event.attempt;
    if (!event.final) return;
    // Done only when the node is back on another boot.
    if (event.reboot !== undefined && event.reboot.boot === this.#node(last.executor).boot) {
      last.leaves = event.reboot.boot;
      return;
    }
    last.live = false;
    last.outcome = event.outcome;
    if (event.outcome !== 'interrupted' && event.outcome !== 'not-started') this.#deferred.delete(id);
    if (event.outcome === 'succeeded' || event.outcome === 'cancelled') this.#settled.add(id);
    else if (event.outcome === 'failed' || event.outcome === 'timed-out') this.#failed.add(id);
    else if (event.outcome === 'interrupted') {
      const { rerun } = this.#stepOf(event.run, event.step);
      this.#mayRepeat.set(id, rerun !== 'never-twice');
    } else this.#mayRepeat.set(id, true);
  }

  #endReboot(event: Extract<Event, { type: 'JobRebooted' }>): void {
    const id = jobOf(event);
    const last = this.#attempts.get(id)?.at(-1);
    this.#require(last?.live === true && last.leaves !== undefined, `P2: ${id} rebooted without being asked`);
    this.#require(
      this.#node(last.executor).boot !== last.leaves,
      `${id} is done on the boot that it was to leave`,
    );
    last.live = false;
    this.#deferred.delete(id);
    this.#settled.add(id);
  }

  #hold(id: string): void {
    const last = this.#attempts.get(id)?.at(-1);
    if (last !== undefined) last.live = false;
    this.#held.add(id);
  }

  /** Of a job that is over, or of a run that there is not, it is no more than a note. */
  #disclose(event: Extract<Event, { type: 'AttemptDisclosed' }>): void {
    const { run, step, node, attempt } = event;
    const isOfRun = this.#units(run).some((unit) => unit.steps.some(({ id }) => id === step));
    if (!isOfRun || (this.#isSettled(run, step, node) && !this.#deferred.has(jobOf(event)))) return;
    const id = jobOf(event);
    this.#hold(id);
    this.#failed.delete(id);
    const attempts = this.#attempts.get(id) ?? [];
    attempts.push({ number: attempt, live: false, outcome: null, executor: node, nodes: [node] });
    this.#attempts.set(id, attempts);
    this.#mayRepeat.set(id, false);
  }

  #decide(event: Extract<Event, { type: 'JobDecided' }>): void {
    const id = jobOf(event);
    const last = this.#attempts.get(id)?.at(-1);
    if (last !== undefined) last.live = false;
    this.#held.delete(id);
    this.#failed.delete(id);
    if (event.as !== 'again') this.#deferred.delete(id);
    if (event.as === 'succeeded') this.#settled.add(id);
    else if (event.as === 'failed') this.#failed.add(id);
    else this.#mayRepeat.set(id, true);
  }

  #resume(event: Extract<Event, { type: 'RunResumed' }>): void {
    this.#stopped.delete(event.run);
    for (const id of [...this.#failed]) {
      if (!id.startsWith(`${event.run}/`)) continue;
      const [, step = '', node = ''] = id.split('/');
      if (this.#stepOf(event.run, step).part !== undefined) continue;
      if (this.#out.has(`${event.run}/${node}`)) continue;
      if (event.how === 'retry-failed') {
        this.#failed.delete(id);
        this.#mayRepeat.set(id, true);
      } else if (event.how === 'accept-failed') this.#out.add(`${event.run}/${node}`);
    }
  }

  #checkWave(run: string, unitId: string, nodes: readonly string[]): void {
    const waves = this.#waves.get(`${run}/${unitId}`) ?? new Map<string, number>();
    const unit = this.#units(run).find(({ id }) => id === unitId);
    const last = unit?.steps.at(-1);
    this.#require(last !== undefined, `unit ${unitId}`);
    for (const earlier of waves.keys()) {
      this.#require(
        this.#isSettled(run, last.id, earlier),
        `waves: ${unitId} goes on before ${earlier} is done`,
      );
    }
    for (const node of nodes) waves.set(node, waves.size);
    this.#waves.set(`${run}/${unitId}`, waves);
  }

  #checkSlot(run: string, unitId: string, node: string): void {
    const unit = this.#units(run).find(({ id }) => id === unitId);
    this.#require(unit?.strategy.kind === 'rolling', `P8: slot in ${unitId}`);
    const { strategy } = unit;
    const nodes = this.#nodesIn(run, unit);
    const slots = this.#slots.get(`${run}/${unitId}`) ?? new Set<string>();
    this.#slots.set(`${run}/${unitId}`, slots);
    slots.add(node);
    const down = [...nodes].filter((name) => {
      const known = this.#node(name);
      return slots.has(name) || known.unreachable || !known.inService;
    });
    const { maxUnavailable, by } = strategy;
    const max =
      'count' in maxUnavailable
        ? maxUnavailable.count
        : Math.max(1, Math.floor((maxUnavailable.percent * nodes.size) / 100));
    this.#require(down.length <= max, `P8: ${down.join(', ')} are down in ${unitId}, ${max} may be`);
    if (by === undefined) return;
    const labels = this.#frozen.get(`${run}/${unitId}`)?.labels;
    const rackOf = (name: string): string => labels?.get(name)?.[by.label] ?? '(none)';
    const racks = Map.groupBy(down, rackOf);
    this.#require(
      racks.size <= by.domains,
      `P8: ${racks.size} racks are down in ${unitId}, ${by.domains} may be`,
    );
    // Accidents in another rack are not this slot's doing.
    const rack = rackOf(node);
    const count = racks.get(rack)?.length ?? 0;
    this.#require(
      by.perDomain === undefined || count <= by.perDomain,
      `P8: ${count} nodes of ${rack} are down`,
    );
  }
}

const jobOf = (event: { run: string; step: string; node: string }): string =>
  `${event.run}/${event.step}/${event.node}`;
