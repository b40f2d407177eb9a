/**
 * What a rehearsal came to: what happened when, how each step went, and the worst that was down at once. It looks
 * at the core's events and state after each turn and decides nothing.
 */

import type { Event } from '../core/events.ts';
import { explainRun } from '../core/explain.ts';
import { runGate } from '../core/explain-run.ts';
import { type RunStateName, runStateOf } from '../core/shown-states.ts';
import type { Run, State, UnitState } from '../core/state.ts';
import { type Play, Stage } from './stage.ts';

/** Times are milliseconds from the beginning of the run. */
export type Passage = { readonly at: number; readonly what: string; readonly nodes: readonly string[] };

export type RehearsedStep = {
  readonly step: string;
  readonly jobs: number;
  readonly beganAt: number | null;
  readonly endedAt: number | null;
  /** Of the slowest job. */
  readonly longestMs: number | null;
  readonly longestNode: string | null;
  /** How many jobs ended, or stand, in which state. */
  readonly states: Readonly<Record<string, number>>;
  /** Nothing is known of how long it takes. */
  readonly assumed: boolean;
};

export type RehearsedUnit = {
  readonly unit: string;
  readonly strategy: 'parallel' | 'rolling';
  readonly nodes: number;
  readonly waves: readonly (readonly string[])[];
  /** Rolling: unavailable at once, from whatever cause. Parallel: at work at once. */
  readonly worst: {
    readonly count: number;
    readonly at: number;
    /** Failure domain → how many of them. */
    readonly domains: Readonly<Record<string, number>>;
  } | null;
};

export type Story = {
  readonly pipeline: string;
  readonly cluster: string;
  readonly nodes: number;
  readonly state: RunStateName;
  readonly reason: string | null;
  readonly wallMs: number;
  /** The most nodes unavailable at once in any rolling unit. */
  readonly downMax: number;
  readonly roles: Readonly<Record<string, { readonly nodes: number; readonly leader: string | null }>>;
  readonly units: readonly RehearsedUnit[];
  readonly steps: readonly RehearsedStep[];
  readonly passages: readonly Passage[];
  /** Of a run that did not end: what it waits for. */
  readonly open: readonly string[];
};

/** Within which the same thing on several nodes is told once. */
const togetherMs = 10_000;

export function rehearse(play: Play): Story {
  const teller = new Teller(play);
  const stage: Stage = new Stage(play, (events) => teller.listen(stage.state, events));
  const run = stage.perform();
  return teller.conclude(stage.state, run);
}

class Teller {
  readonly #play: Play;
  readonly #passages: { at: number; what: string; nodes: string[] }[] = [];
  readonly #worst = new Map<string, NonNullable<RehearsedUnit['worst']>>();
  readonly #waves = new Map<string, (readonly string[])[]>();
  #pausedAt: number | null = null;
  #lastAt = 0;

  constructor(play: Play) {
    this.#play = play;
  }

  listen(state: State, events: readonly Event[]): void {
    const [run] = state.runs.values();
    if (run === undefined) return;
    for (const event of events) this.#hear(state, event);
    for (const unit of run.units) this.#measure(state, unit);
    if (run.pausedAt !== this.#pausedAt) {
      this.#pausedAt = run.pausedAt;
      this.#tell(
        state.at,
        run.pausedAt === null ? 'the run goes on' : (runGate(run)?.sentence ?? 'the run is paused'),
      );
    }
  }

  #tell(at: number, what: string, ...nodes: readonly string[]): void {
    const since = Math.max(0, at - this.#play.beginsAt);
    this.#lastAt = Math.max(this.#lastAt, since);
    const same = this.#passages.findLast((passage) => passage.what === what);
    // What many nodes do within one step's time is one line, under the time of the first.
    if (nodes.length > 0 && same !== undefined && since - same.at < togetherMs) same.nodes.push(...nodes);
    else this.#passages.push({ at: since, what, nodes: [...nodes] });
  }

  #hear(state: State, event: Event): void {
    if (event.type === 'WaveOpened')
      this.#waves.set(event.unit, [...(this.#waves.get(event.unit) ?? []), event.nodes]);
    if (event.type === 'AttemptEnded') this.#lastAt = Math.max(this.#lastAt, event.at - this.#play.beginsAt);
    const passage = passageOf(state, event);
    if (passage !== undefined) this.#tell(event.at, passage.what, ...(passage.nodes ?? []));
  }

  #measure(state: State, unit: UnitState): void {
    const rolling = unit.unit.strategy.kind === 'rolling';
    // A unit that nobody began, or that all are through with, is not what takes nodes down.
    if (rolling && unit.slots.size === 0) return;
    const count = rolling ? unit.unavailable.size : unit.live.size;
    if (count <= (this.#worst.get(unit.unit.id)?.count ?? 0)) return;
    this.#worst.set(unit.unit.id, {
      count,
      at: state.at - this.#play.beginsAt,
      domains: rolling ? Object.fromEntries(unit.unavailableByDomain) : {},
    });
  }

  conclude(state: State, run: Run): Story {
    const { pipeline, cluster, hosts } = this.#play;
    const shown = runStateOf(run);
    const reason = run.end === null ? (runGate(run)?.sentence ?? null) : run.end.reason;
    // What the run as a whole waits for is said once and not again for each job.
    const open = explainRun(state, run, () => undefined).filter(
      ({ state: job }) => reason === null || job === 'held' || job === 'unknown' || job === 'failed',
    );
    const units = run.units.map(
      ({ unit, nodes }): RehearsedUnit => ({
        unit: unit.id,
        strategy: unit.strategy.kind,
        nodes: nodes.length,
        waves: this.#waves.get(unit.id) ?? [],
        worst: this.#worst.get(unit.id) ?? null,
      }),
    );
    const rolling = units.filter(({ strategy }) => strategy === 'rolling');
    return {
      pipeline: pipeline.name,
      cluster,
      nodes: hosts.length,
      state: shown,
      reason: reason === '' ? null : reason,
      wallMs: this.#lastAt,
      downMax: Math.max(0, ...rolling.map(({ worst }) => worst?.count ?? 0)),
      roles: Object.fromEntries(
        [...run.roles.values()].map(({ name, nodes, leader }) => [name, { nodes: nodes.length, leader }]),
      ),
      units,
      steps: this.#steps(run),
      passages: this.#passages,
      open: open.map(({ sentence }) => sentence),
    };
  }

  #steps(run: Run): RehearsedStep[] {
    const since = (at: number | null): number | null => (at === null ? null : at - this.#play.beginsAt);
    return run.steps.map(({ step, jobs }) => {
      const states: Record<string, number> = {};
      let beganAt: number | null = null;
      let endedAt: number | null = null;
      let longest: { ms: number; node: string } | undefined;
      for (const [node, job] of jobs) {
        states[job.state] = (states[job.state] ?? 0) + 1;
        if (job.startedAt === null) continue;
        beganAt = Math.min(beganAt ?? job.startedAt, job.startedAt);
        if (job.finishedAt === null) continue;
        endedAt = Math.max(endedAt ?? 0, job.finishedAt);
        const ms = job.finishedAt - job.startedAt;
        if (longest === undefined || ms > longest.ms) longest = { ms, node };
      }
      return {
        step: step.id,
        jobs: jobs.size,
        beganAt: since(beganAt),
        endedAt: since(endedAt),
        longestMs: longest?.ms ?? null,
        longestNode: longest?.node ?? null,
        states,
        assumed: this.#play.past.isAssumed(step.id),
      };
    });
  }
}

type Told = { readonly what: string; readonly nodes?: readonly string[] };

/** What is told of an event; undefined for what only the table of steps shows. */
function passageOf(state: State, event: Event): Told | undefined {
  switch (event.type) {
    case 'NodeUnreachable':
      // Those that are away because they reboot are meant to be.
      if (state.nodes.get(event.node)?.segment.some(({ reboot }) => reboot !== null)) return undefined;
      return { what: 'cannot be reached', nodes: [event.node] };
    case 'AttemptEnded':
      if (event.outcome !== 'failed' && event.outcome !== 'timed-out') return undefined;
      return { what: `${event.step} fails`, nodes: [event.node] };
    case 'JobFailed':
      return { what: `${event.step} fails: ${event.reason}`, nodes: [event.node] };
    case 'JobUnknown':
      return { what: `${event.step} is unknown`, nodes: [event.node] };
    case 'JobFound':
      return { what: `${event.step} is known again`, nodes: [event.node] };
    case 'JobDeferred':
      return { what: `${event.step} is deferred`, nodes: [event.node] };
    case 'JobSkipped':
      return { what: `${event.step} is skipped: ${event.reason}`, nodes: [event.node] };
    case 'JobHeld':
      return { what: `${event.step} is held: ${event.reason}`, nodes: [event.node] };
    case 'NodeLeft':
      return { what: `leaves the run: ${event.reason}`, nodes: [event.node] };
    case 'WaveOpened':
      return { what: `wave ${event.wave + 1} of ${event.unit}`, nodes: event.nodes };
    default:
      return passageOfRun(event);
  }
}

function passageOfRun(event: Event): Told | undefined {
  switch (event.type) {
    case 'RunStarted':
      return { what: 'the run begins' };
    case 'StepOpened':
      return { what: `${event.step} begins` };
    case 'WindowOpened':
      return { what: `${event.unit} may begin: its window is open` };
    case 'WindowClosed': {
      const until = event.until === null ? '' : ` until ${new Date(event.until).toISOString()}`;
      return { what: `${event.unit} is parked outside of its window${until}` };
    }
    case 'ApprovalRequested':
      return { what: `${event.unit} asks for approval (given at once here): ${event.text}` };
    case 'RunFailing':
      return { what: `nothing more is granted: ${event.reason}` };
    case 'RunHeld':
      return { what: `the run is ${event.needs === 'decision' ? 'held' : 'paused'}: ${event.reason}` };
    case 'RunResumed':
      return { what: 'the run goes on' };
    case 'RunConcluded':
      return { what: `the outcome is ${event.state}; the last steps begin` };
    case 'RunDeferred':
      return { what: `only deferred jobs are left: ${event.reason}` };
    case 'RunEnded':
      return { what: `the run has ${event.state}${event.reason === '' ? '' : `: ${event.reason}`}` };
    default:
      return undefined;
  }
}
