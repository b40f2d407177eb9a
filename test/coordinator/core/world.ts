/**
 * The core with everything around it played by the test: time, the journal (a list), the nodes' agents. No
 * decision is made here; a test says what happens and looks at what the core made of it.
 */
import { createHash } from 'node:crypto';
import type {
  Command,
  CreateRun,
  Decision,
  Effect,
  GrantedJob,
  Lookup,
} from '../../../coordinator/core/commands.ts';
import { emptyState } from '../../../coordinator/core/empty.ts';
import type { Event } from '../../../coordinator/core/events.ts';
import { evolve } from '../../../coordinator/core/evolve.ts';
import { execute } from '../../../coordinator/core/execute.ts';
import { progress } from '../../../coordinator/core/progress.ts';
import type { State } from '../../../coordinator/core/state.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { allFeatures } from '../../../shared/features.ts';
import { attemptIdOf, parseAttemptId } from '../../../shared/ids.ts';
import type { AttemptResult, Hello, Outcome } from '../../../shared/messages.ts';
import type { Pipeline } from '../../../shared/pipeline/model.ts';

/** `segment`: the attempt of the first job of the grant that it came with. */
export type Held = { attempt: string; state: 'accepted' | 'running'; job: GrantedJob; segment: string };

export class World {
  state: State = emptyState();
  readonly events: Event[] = [];
  readonly facts = new Map<string, object>();
  readonly texts = new Map<string, string>();
  readonly secrets = new Map<string, string>();
  secretsMax = 1_000_000;
  secretBytesLeft = Number.POSITIVE_INFINITY;
  /** What each agent was granted and has not ended. */
  readonly held = new Map<string, Held[]>();
  /** What each agent ended, and for which lineage. */
  readonly finished = new Map<string, { attempt: string; outcome: Outcome; lineage: string }[]>();
  /** Agents of an older version, which tell nothing of it. */
  readonly mute = new Set<string>();
  readonly counters = new Map<string, number>();
  readonly incarnations = new Map<string, string>();
  readonly boots = new Map<string, string>();
  readonly results = new Map<string, number>();
  /** Attempts that succeeded on a node whose link was down. */
  readonly silent = new Map<string, string[]>();
  /** What attempts printed. */
  readonly printed = new Map<string, string>();
  readonly cancels: { node: string; attempt: string; reason: string }[] = [];
  readonly recalls: { node: string; attempts: readonly string[]; reason: string }[] = [];
  readonly rejections: string[] = [];
  /** As which node the last agent that connected was welcomed. */
  welcomed: string | null = null;
  /** How many jobs an agent asks for at a time. */
  credit = 1;
  at = Date.UTC(2026, 0, 1);
  onEvent: (event: Event, state: State) => void = () => {};
  grantsPerTurn = 1_000;

  readonly lookup: Lookup = {
    facts: (digest) => this.facts.get(digest),
    text: (digest) => {
      const text = this.texts.get(digest);
      if (text === undefined) throw new LockstepError('damaged', `the content ${digest} is not stored`);
      return text;
    },
    secret: (reference) => {
      const value = this.secrets.get(reference);
      if (value === undefined) throw new LockstepError('damaged', `the secret ${reference} is not stored`);
      return value;
    },
    secretRoom: () => ({ count: this.secretsMax - this.secrets.size, bytes: this.secretBytesLeft }),
    logTail: (attempt) => this.printed.get(attempt) ?? '',
    digestOf: (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`,
  };

  constructor() {
    this.command({ type: 'BeginReign', lineage: 'test', epoch: 1, version: '0' });
  }

  /** The coordinator goes on from what the journal was at a seq, as after a restore; agents know what they know. */
  restore(seq: number, lineage: string): void {
    this.state = emptyState();
    this.events.length = seq;
    for (const event of this.events) evolve(this.state, event);
    this.command({ type: 'BeginReign', lineage, epoch: this.state.epoch + 1, version: '0' });
  }

  /** Executes one command and everything that follows; an error's message comes back, or undefined. */
  command(command: Command): string | undefined {
    const decision = execute(this.state, command, this.at, this.lookup);
    this.take(decision);
    this.settle();
    return decision.ok ? undefined : decision.error.message;
  }

  settle(): void {
    for (let turn = 0; turn < 10_000; turn += 1) {
      const decision = progress(this.state, this.at, this.lookup, this.grantsPerTurn);
      this.take(decision);
      if (!decision.more) return;
    }
    throw new Error('the agenda never gets empty');
  }

  take(decision: Decision): void {
    if (decision.ok) {
      for (const { reference, value } of decision.secrets) this.secrets.set(reference, value);
      for (const { digest, text } of decision.blobs) this.texts.set(digest, text);
      for (const event of decision.events) {
        this.events.push(event);
        this.onEvent(event, this.state);
      }
    }
    for (const effect of decision.effects) this.deliver(effect);
  }

  deliver(effect: Effect): void {
    if (effect.kind === 'welcome') this.welcomed = effect.node;
    if (effect.kind === 'reject') this.rejections.push(effect.reason);
    if (effect.kind === 'cancel') this.cancels.push(effect);
    if (effect.kind === 'recall') this.recalls.push(effect);
    if (effect.kind !== 'grant') return;
    const held = this.held.get(effect.node) ?? [];
    this.held.set(effect.node, held);
    const segment = effect.jobs[0]?.attempt ?? '';
    if (held.some((other) => other.attempt === segment)) return;
    for (const job of effect.jobs) held.push({ attempt: job.attempt, state: 'accepted', job, segment });
  }

  wait(ms: number): void {
    this.at += ms;
    this.command({ type: 'Tick' });
  }

  connect(node: string, labels: Record<string, string> = {}, more: Partial<Hello> = {}): void {
    const counter = (this.counters.get(node) ?? 0) + 1;
    this.counters.set(node, counter);
    const incarnation = this.incarnations.get(node) ?? `inc-${node}-1`;
    this.incarnations.set(node, incarnation);
    const known = this.state.nodes.get(node)?.agentLabels;
    this.welcomed = null;
    this.command({
      type: 'ConnectAgent',
      token: 'test',
      hello: {
        type: 'hello',
        protocol: 1,
        version: '0',
        name: node,
        labels: known ?? labels,
        incarnation,
        boot: this.bootOf(node),
        counter,
        diskless: false,
        features: [...allFeatures],
        address: `10.0.0.${this.counters.size}`,
        held: [
          ...(this.held.get(node) ?? []).map(({ attempt, state }) => ({ attempt, state })),
          ...(this.silent.get(node) ?? []).map((attempt) => ({ attempt, state: 'ended' as const })),
        ],
        ...this.#remembered(node),
        ...more,
      },
    });
    if (this.welcomed !== null && this.welcomed !== node) this.#takeName(node, this.welcomed);
    this.tellSilent(this.welcomed ?? node);
  }

  /** The agent goes by the name that it was given. */
  #takeName(asked: string, given: string): void {
    for (const map of [this.counters, this.incarnations, this.boots] as Map<string, unknown>[]) {
      if (map.has(asked)) map.set(given, map.get(asked));
      map.delete(asked);
    }
  }

  bootOf(node: string): string {
    return this.boots.get(node) ?? 'boot-1';
  }

  #remembered(node: string): Pick<Hello, 'remembered'> {
    if (this.state.restoration === null || this.mute.has(node)) return {};
    const attempts = (this.finished.get(node) ?? [])
      .filter(({ lineage }) => lineage !== this.state.lineage)
      .map(({ attempt, outcome }) => ({ attempt, outcome }));
    return { remembered: { attempts, oldest: null } };
  }

  /** Asks for a job, as an agent does when it has none. */
  pull(node: string): void {
    if ((this.held.get(node) ?? []).length === 0)
      this.command({ type: 'PullJobs', node, credit: this.credit });
  }

  disconnect(node: string): void {
    const counter = this.counters.get(node) ?? 0;
    const incarnation = this.incarnations.get(node) ?? '';
    this.command({ type: 'DisconnectAgent', node, incarnation, counter, reason: 'test' });
  }

  start(node: string): void {
    const [first] = this.held.get(node) ?? [];
    if (first === undefined || first.state === 'running') return;
    first.state = 'running';
    this.command({ type: 'ReportStarted', node, attempt: first.attempt, nodeAt: this.at });
  }

  /** The node's job ends like this; the agent then asks for the next one. */
  finish(node: string, outcome: Outcome, more: Partial<AttemptResult> = {}): void {
    const held = this.held.get(node) ?? [];
    const first = held.shift();
    if (first === undefined) throw new Error(`${node} has no job`);
    this.report(node, first.attempt, outcome, more);
    if (outcome !== 'succeeded') {
      for (const next of held.splice(0).filter((other) => other.segment === first.segment)) {
        this.report(node, next.attempt, 'not-started', { startedAt: null });
      }
    }
    this.pull(node);
  }

  /** Without the link: the job is done, and nobody hears of it until `tellSilent`. */
  finishSilently(node: string): void {
    const done = (this.held.get(node) ?? []).shift();
    if (done === undefined) throw new Error(`${node} has no job`);
    this.silent.set(node, [...(this.silent.get(node) ?? []), done.attempt]);
  }

  tellSilent(node: string): void {
    for (const attempt of this.silent.get(node) ?? []) this.report(node, attempt, 'succeeded');
    this.silent.delete(node);
    this.pull(node);
  }

  /** The attempt failed and the agent goes on with the next one of its grant. */
  retry(node: string): void {
    const first = this.held.get(node)?.[0];
    const name = parseAttemptId(first?.attempt ?? '');
    if (first === undefined || name === undefined) throw new Error(`${node} has no job`);
    this.report(node, first.attempt, 'failed', { final: false });
    first.attempt = attemptIdOf(name.job, name.attempt + 1);
    first.job = { ...first.job, attempt: first.attempt, attemptsMax: first.job.attemptsMax - 1 };
    first.state = 'accepted';
  }

  report(node: string, attempt: string, outcome: Outcome, more: Partial<AttemptResult> = {}): void {
    const { lineage } = this.state;
    this.finished.set(node, [...(this.finished.get(node) ?? []), { attempt, outcome, lineage }]);
    const number = (this.results.get(node) ?? 0) + 1;
    this.results.set(node, number);
    this.command({ type: 'ReportResult', node, number, result: resultOf(attempt, outcome, this.at, more) });
  }

  run(
    pipeline: Pipeline,
    params: Record<string, unknown> = {},
    cluster = 'default',
    more: Partial<Pick<CreateRun, 'from' | 'limit' | 'checkOnly'>> = {},
  ): string | undefined {
    return this.command({
      type: 'CreateRun',
      by: 'operator:test',
      cluster,
      pipeline,
      params,
      generated: Object.fromEntries(Object.keys(pipeline.params).map((name) => [name, 'ab'.repeat(16)])),
      limit: null,
      checkOnly: false,
      ...more,
    });
  }

  /** The agents end what they were told to end. */
  obeyCancels(): void {
    for (const { node, attempt } of this.cancels.splice(0)) {
      const held = this.held.get(node) ?? [];
      const index = held.findIndex((other) => other.attempt === attempt);
      if (index < 0 || this.state.nodes.get(node)?.contact !== 'connected') continue;
      const [ended] = held.splice(index, 1);
      this.report(node, attempt, 'cancelled');
      for (const next of held.filter((other) => other.segment === ended?.segment).slice(index)) {
        held.splice(held.indexOf(next), 1);
        this.report(node, next.attempt, 'not-started', { startedAt: null });
      }
      this.pull(node);
    }
  }

  /** Agents give back what was granted ahead and has not begun. */
  obeyRecalls(): void {
    for (const { node, attempts } of this.recalls.splice(0)) {
      const held = this.held.get(node) ?? [];
      if (this.state.nodes.get(node)?.contact !== 'connected') continue;
      for (const attempt of attempts) {
        const index = held.findIndex((other) => other.attempt === attempt);
        if (index <= 0) continue;
        held.splice(index, 1);
        this.report(node, attempt, 'not-started', { startedAt: null });
      }
    }
  }

  attemptOn(node: string): string | undefined {
    return this.held.get(node)?.[0]?.attempt;
  }
}

const resultOf = (
  attempt: string,
  outcome: Outcome,
  at: number,
  more: Partial<AttemptResult> = {},
): AttemptResult => ({
  attempt,
  outcome,
  final: true,
  unchanged: false,
  exitCode: outcome === 'succeeded' ? 0 : outcome === 'failed' ? 1 : null,
  signal: null,
  reason: outcome === 'succeeded' ? null : `test says ${outcome}`,
  phase: 'run',
  iterations: 1,
  startedAt: at,
  finishedAt: at,
  durationMs: 0,
  outputs: {},
  logs: { stdout: 0, stderr: 0 },
  ...more,
});
