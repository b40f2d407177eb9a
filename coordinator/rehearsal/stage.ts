/**
 * Plays one run on hosts that do not exist: the coordinator's own core decides, on simulated time; hosts, links and
 * what the scripts would do are played here. Nothing is granted, held or paused by other rules than those that will
 * hold in earnest. What came of it is told by story.ts.
 */
import { createHash } from 'node:crypto';
import { present } from '../../shared/assert.ts';
import { canonicalJson } from '../../shared/canonical-json.ts';
import { LockstepError } from '../../shared/errors.ts';
import { allFeatures } from '../../shared/features.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { type AttemptResult, type Hello, type Outcome, protocolVersion } from '../../shared/messages.ts';
import type { Pipeline, Step } from '../../shared/pipeline/model.ts';
import type { Command, Decision, Effect, GrantedJob, Lookup } from '../core/commands.ts';
import { emptyState, execute, progress } from '../core/engine.ts';
import type { Event } from '../core/events.ts';
import { popHeap, pushHeap } from '../core/heap.ts';
import { runStateOf } from '../core/shown-states.ts';
import type { Run, State } from '../core/state.ts';
import type { Chances } from './chances.ts';
import type { RehearsedHost } from './hosts.ts';
import type { Past } from './past.ts';

export type Faults = {
  /** Share of the jobs that fail, all their retries included. */
  readonly fail: number;
  /** Share of the nodes that cannot be reached from beginning to end. */
  readonly unreachable: number;
  /** Share of the jobs in whose middle the link is lost, for `awayMs`. */
  readonly lose: number;
  readonly awayMs: number;
};

export type Standing = Extract<
  Command,
  { type: 'SetParam' | 'ApplyProfile' | 'AdministerNode' | 'SetDisruptionBudget' }
>;

export type Play = {
  readonly pipeline: Pipeline;
  readonly cluster: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** What operators have said before: params, profiles, nodes that may not work, how many may be unavailable. */
  readonly standing: readonly Standing[];
  readonly limit: string | null;
  readonly hosts: readonly RehearsedHost[];
  readonly faults: Faults;
  readonly chances: Chances;
  readonly past: Past;
  /** When the run begins, ms since 1970. */
  readonly beginsAt: number;
};

type Scene = { readonly at: number; readonly order: number; readonly perform: () => void };
const isEarlier = (a: Scene, b: Scene): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

type PlayedHost = RehearsedHost & {
  readonly factsDigest: string;
  away: boolean;
  boot: number;
  counter: number;
  results: number;
  /** What it was granted and has not ended, in order; the first one runs. */
  jobs: GrantedJob[];
  /** Results that wait for the link. */
  outbox: AttemptResult[];
};

const by = 'operator:rehearsal';
const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

export class Stage {
  readonly state: State = emptyState();
  at: number;
  readonly #play: Play;
  readonly #onTurn: (events: readonly Event[]) => void;
  readonly #hosts = new Map<string, PlayedHost>();
  readonly #steps: ReadonlyMap<string, Step>;
  readonly #facts = new Map<string, object>();
  readonly #texts = new Map<string, string>();
  readonly #secrets = new Map<string, string>();
  readonly #queue: Scene[] = [];
  #order = 0;

  readonly #lookup: Lookup = {
    facts: (digest) => this.#facts.get(digest),
    text: (digest) => this.#texts.get(digest) ?? 'null',
    secret: (reference) => this.#secrets.get(reference) ?? 'null',
    secretRoom: () => ({ count: limits.secretsMax, bytes: Number.POSITIVE_INFINITY }),
    logTail: () => '',
    digestOf,
  };

  /** `onTurn` is called with the events of each turn, when they are in the state. */
  constructor(play: Play, onTurn: (events: readonly Event[]) => void) {
    this.#play = play;
    this.#onTurn = onTurn;
    this.at = play.beginsAt - 2 * limits.unknownAfterDefaultMs;
    this.#steps = new Map(
      play.pipeline.units.flatMap(({ steps }) => steps).map((step) => [step.id, step] as const),
    );
  }

  /** Throws the coordinator's own refusal of the run. Returns the run as it is when nothing happens any more. */
  perform(): Run {
    const { beginsAt, pipeline, cluster, params, limit, hosts, faults, chances } = this.#play;
    this.#command({ type: 'BeginReign', lineage: 'rehearsal', epoch: 1, version: 'rehearsal' });
    for (const host of hosts) this.#enter(host);
    for (const command of this.#play.standing) if (this.#concerns(command)) this.#command(command);
    const unreachable = chances.choose(faults.unreachable, hosts, ({ name }) => `unreachable ${name}`);
    for (const { name } of unreachable) this.#loseLink(this.#hostOf(name));
    this.#playUntil(beginsAt);
    const generated = Object.keys(pipeline.params).map((name) => [name, digestOf(name).slice(7, 39)]);
    this.#command({
      type: 'CreateRun',
      by,
      cluster,
      pipeline,
      params,
      generated: Object.fromEntries(generated),
      limit,
      checkOnly: false,
    });
    this.#playUntil(beginsAt + limits.rehearsalMs);
    const [run] = this.state.runs.values();
    return present(run, 'the run');
  }

  /** Nodes that are left out of the rehearsal are not known here. */
  #concerns(command: Standing): boolean {
    if (command.type === 'SetDisruptionBudget') return true;
    if (command.type === 'AdministerNode') return this.#hosts.has(command.node);
    if (command.type === 'ApplyProfile') return true;
    return 'cluster' in command.scope || this.#hosts.has(command.scope.node);
  }

  #playUntil(end: number): void {
    for (let turn = 0; turn < limits.rehearsalTurnsMax; turn += 1) {
      const [next] = this.#queue;
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, this.#deadline() ?? Number.POSITIVE_INFINITY);
      if (at > end) {
        this.at = Math.max(this.at, Math.min(end, at));
        if (Number.isFinite(at)) this.#command({ type: 'Tick' });
        return;
      }
      this.at = Math.max(this.at, at);
      if (next !== undefined && next.at <= this.at) {
        popHeap(this.#queue, isEarlier);
        next.perform();
      } else this.#command({ type: 'Tick' });
    }
    throw new LockstepError(
      'too-large',
      `the rehearsal takes more than ${limits.rehearsalTurnsMax} turns: rehearse with fewer nodes`,
    );
  }

  /** When the core looks again by itself; undefined when nothing that it could decide would come of it. */
  #deadline(): number | undefined {
    const [run] = this.state.runs.values();
    if (run !== undefined && this.#queue.length === 0) {
      const state = runStateOf(run);
      if (run.end !== null || state === 'held' || state === 'succeeded-with-deferred') return undefined;
    }
    return this.state.deadlines.next();
  }

  #later(ms: number, perform: () => void): void {
    this.#order += 1;
    pushHeap(this.#queue, { at: this.at + ms, order: this.#order, perform }, isEarlier);
  }

  #command(command: Command): void {
    const decision = execute(this.state, command, this.at, this.#lookup);
    if (!decision.ok) throw decision.error;
    this.#take(decision);
    for (;;) {
      const further = progress(this.state, this.at, this.#lookup, limits.grantsPerTurnMax);
      this.#take(further);
      if (!further.more) return;
    }
  }

  #take(decision: Extract<Decision, { ok: true }>): void {
    for (const { reference, value } of decision.secrets) this.#secrets.set(reference, value);
    for (const { digest, text } of decision.blobs) this.#texts.set(digest, text);
    for (const effect of decision.effects) this.#later(0, () => this.#obey(effect));
    for (const event of decision.events) {
      // Nobody is asked in a rehearsal; how long an answer takes is not known.
      if (event.type === 'ApprovalRequested')
        this.#later(0, () =>
          this.#command({ type: 'ApproveUnit', run: event.run, unit: event.unit, by, reason: '' }),
        );
    }
    this.#onTurn(decision.events);
  }

  #hostOf(name: string): PlayedHost {
    return present(this.#hosts.get(name), `host ${name}`);
  }

  #enter(host: RehearsedHost): void {
    const factsDigest = digestOf(canonicalJson(host.facts));
    this.#facts.set(factsDigest, host.facts);
    const played = {
      ...host,
      factsDigest,
      away: true,
      boot: 1,
      counter: 0,
      results: 0,
      jobs: [],
      outbox: [],
    };
    this.#hosts.set(host.name, played);
    this.#connect(played);
    this.#command({ type: 'ReportFacts', node: host.name, digest: factsDigest });
  }

  #connect(host: PlayedHost, more: Partial<Hello> = {}): void {
    host.counter += 1;
    host.away = false;
    this.#command({
      type: 'ConnectAgent',
      token: 'rehearsal',
      hello: {
        type: 'hello',
        protocol: protocolVersion,
        version: 'rehearsal',
        name: host.name,
        labels: host.labels,
        incarnation: `rehearsal-${host.name}`,
        boot: `boot-${host.boot}`,
        counter: host.counter,
        diskless: false,
        features: [...allFeatures],
        ...(host.address === null ? {} : { address: host.address }),
        held: [
          ...host.jobs.map(({ attempt }, index) => ({
            attempt,
            state: index === 0 ? ('running' as const) : ('accepted' as const),
          })),
          ...host.outbox.map(({ attempt }) => ({ attempt, state: 'ended' as const })),
        ],
        ...more,
      },
    });
    for (const result of host.outbox.splice(0)) this.#report(host, result);
    this.#pull(host);
  }

  #loseLink(host: PlayedHost): void {
    if (host.away) return;
    host.away = true;
    const { name: node, counter } = host;
    const incarnation = `rehearsal-${node}`;
    this.#command({ type: 'DisconnectAgent', node, incarnation, counter, reason: 'rehearsed' });
  }

  #pull(host: PlayedHost): void {
    if (host.away || host.jobs.length > 0) return;
    this.#command({ type: 'PullJobs', node: host.name, credit: limits.segmentJobsMax });
  }

  #obey(effect: Effect): void {
    if (effect.kind === 'grant') {
      const host = this.#hostOf(effect.node);
      // It is sent again when the link is back, as the host does not tell of it.
      if (host.away) return;
      const known = new Set(host.jobs.map(({ attempt }) => attempt));
      host.jobs.push(...effect.jobs.filter(({ attempt }) => !known.has(attempt)));
      if (known.size === 0) this.#begin(host);
    } else if (effect.kind === 'cancel') {
      const host = this.#hostOf(effect.node);
      if (!host.away && host.jobs[0]?.attempt === effect.attempt)
        this.#end(host, effect.attempt, 'cancelled');
    } else if (effect.kind === 'recall') {
      const host = this.#hostOf(effect.node);
      const [running, ...waiting] = host.jobs;
      if (host.away || running === undefined) return;
      host.jobs = [running, ...waiting.filter(({ attempt }) => !effect.attempts.includes(attempt))];
      for (const { attempt } of waiting.filter((job) => effect.attempts.includes(job.attempt)))
        this.#tell(host, resultOf(attempt, 'not-started', this.at, 0));
    }
  }

  #begin(host: PlayedHost): void {
    const [job] = host.jobs;
    const name = parseAttemptId(job?.attempt ?? '');
    if (job === undefined || name === undefined) return;
    const { attempt } = job;
    const what = `${name.step} ${name.node}`;
    const { chances, faults, past } = this.#play;
    if (!host.away) this.#command({ type: 'ReportStarted', node: host.name, attempt, nodeAt: this.at });
    const lasts = past.durationOf(name.step, name.node);
    // Once for a job, so that what is tried again after a decision can succeed.
    const fails = name.attempt <= 1 && chances.happens(faults.fail, `fail ${what}`);
    const loses = name.attempt <= 1 && chances.happens(faults.lose, `lose ${what}`);
    if (loses && !host.away) {
      this.#later(lasts / 2, () => this.#loseLink(host));
      this.#later(lasts / 2 + faults.awayMs, () => {
        if (host.away) this.#connect(host);
      });
    }
    this.#later(lasts, () => this.#end(host, attempt, fails ? 'failed' : 'succeeded', lasts));
  }

  /** The job ends, if it is still the one that runs there; the host goes on with the next one of its segment. */
  #end(host: PlayedHost, attempt: string, outcome: Outcome, lasts = 0): void {
    if (host.jobs[0]?.attempt !== attempt) return;
    host.jobs.shift();
    const step = this.#steps.get(parseAttemptId(attempt)?.step ?? '');
    const succeeded = outcome === 'succeeded';
    const reboots = succeeded && step?.reboot === 'after';
    const result = resultOf(attempt, outcome, this.at, lasts);
    this.#tell(host, {
      ...result,
      ...(succeeded && step !== undefined ? { outputs: this.#outputsOf(step) } : {}),
      ...(reboots ? { reboot: { boot: `boot-${host.boot}` } } : {}),
    });
    if (!succeeded || reboots) {
      for (const left of host.jobs.splice(0))
        this.#tell(host, resultOf(left.attempt, 'not-started', this.at, 0));
    }
    if (reboots) this.#reboot(host, attempt);
    else if (host.jobs.length > 0) this.#begin(host);
    else this.#pull(host);
  }

  #outputsOf(step: Step): AttemptResult['outputs'] {
    return JSON.parse(JSON.stringify(this.#play.past.outputsOf(step)));
  }

  #reboot(host: PlayedHost, attempt: string): void {
    this.#loseLink(host);
    host.boot += 1;
    this.#later(limits.rehearsalRebootMs, () =>
      this.#connect(host, { rebooted: { attempt, planned: true } }),
    );
  }

  #tell(host: PlayedHost, result: AttemptResult): void {
    if (host.away) host.outbox.push(result);
    else this.#report(host, result);
  }

  #report(host: PlayedHost, result: AttemptResult): void {
    host.results += 1;
    this.#command({ type: 'ReportResult', node: host.name, number: host.results, result });
  }
}

const resultOf = (attempt: string, outcome: Outcome, at: number, lasts: number): AttemptResult => ({
  attempt,
  outcome,
  final: true,
  unchanged: false,
  exitCode: outcome === 'succeeded' ? 0 : outcome === 'failed' ? 1 : null,
  signal: null,
  reason: outcome === 'failed' ? 'failed in rehearsal' : null,
  phase: 'run',
  iterations: 1,
  startedAt: outcome === 'not-started' ? null : at - lasts,
  finishedAt: at,
  durationMs: Math.round(lasts),
  outputs: {},
  logs: { stdout: 0, stderr: 0 },
});
