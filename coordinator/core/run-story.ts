/**
 * What happened to one run beside what its jobs tell in the end: the order in which waves opened and slots were
 * held, who decided what, and where it left the plan. A projection over events, in their order; nothing is
 * decided from it. What no longer is in the journal is not in the story, and whoever reads it says so.
 */
import { limits } from '../../shared/limits.ts';
import { type Deviation, deviationOf } from './deviations.ts';
import type { Event } from './events.ts';

export type Decision = {
  readonly unit: string;
  readonly text: string | null;
  readonly state: 'requested' | 'given' | 'rejected';
  readonly requestedAt: number | null;
  readonly by: string | null;
  readonly at: number | null;
  readonly reason: string;
};

export type WaveOpening = {
  readonly at: number;
  readonly unit: string;
  /** From 1. */
  readonly wave: number;
  readonly nodes: readonly string[];
};

/** A slot that one node held; it goes on while `until` is null. */
export type SlotHeld = {
  readonly unit: string;
  readonly node: string;
  readonly at: number;
  until: number | null;
};

export type Story = {
  readonly created: Extract<Event, { type: 'RunCreated' }> | null;
  readonly stepsOpened: ReadonlyMap<string, number>;
  readonly waves: readonly WaveOpening[];
  readonly slots: readonly SlotHeld[];
  readonly approvals: readonly Decision[];
  readonly deviations: readonly Deviation[];
  /** How many of each there were beyond what is kept. */
  readonly leftOut: { readonly slots: number; readonly deviations: number };
  /** What members said of themselves meanwhile: the last of each. */
  readonly agents: ReadonlyMap<string, string>;
  readonly facts: ReadonlyMap<string, string>;
};

export class StoryTeller {
  readonly #run: string;
  readonly #members: Set<string>;
  #created: Story['created'] = null;
  readonly #stepsOpened = new Map<string, number>();
  readonly #waves: WaveOpening[] = [];
  readonly #slots: SlotHeld[] = [];
  readonly #openSlots = new Map<string, SlotHeld>();
  readonly #approvals = new Map<string, Decision>();
  readonly #deviations: Deviation[] = [];
  /** Jobs that may be running on nodes that cannot be reached, by step and node. */
  readonly #unknown = new Map<string, Deviation>();
  readonly #agents = new Map<string, string>();
  readonly #facts = new Map<string, string>();
  #slotsLeftOut = 0;
  #deviationsLeftOut = 0;
  #ended = false;

  constructor(run: string, members: Iterable<string>) {
    this.#run = run;
    this.#members = new Set(members);
  }

  /** Nothing that comes after this belongs to the run. */
  get ended(): boolean {
    return this.#ended;
  }

  /** In order; events of other runs are passed over. */
  hear(event: Event): void {
    if (this.#ended || !this.#concerns(event)) return;
    this.#hearOrder(event);
    this.#hearApproval(event);
    this.#hearNode(event);
    this.#settleUnknown(event);
    const deviation = deviationOf(event);
    if (deviation !== undefined) this.#deviate(deviation, event);
    if (event.type === 'RunCreated') this.#created = event;
    if (event.type === 'RunPlanned')
      for (const { nodes } of Object.values(event.roles)) for (const node of nodes) this.#members.add(node);
    if (event.type === 'RunEnded') this.#ended = true;
  }

  get story(): Story {
    return {
      created: this.#created,
      stepsOpened: this.#stepsOpened,
      waves: this.#waves,
      slots: this.#slots,
      approvals: [...this.#approvals.values()],
      deviations: this.#deviations,
      leftOut: { slots: this.#slotsLeftOut, deviations: this.#deviationsLeftOut },
      agents: this.#agents,
      facts: this.#facts,
    };
  }

  #concerns(event: Event): boolean {
    if ('run' in event && event.type !== 'ServiceProvided') return event.run === this.#run;
    if (event.type === 'StaleResultReported') return event.attempt.startsWith(`${this.#run}/`);
    if (event.type === 'ReignBegan') return true;
    return 'node' in event && this.#members.has(event.node);
  }

  #hearOrder(event: Event): void {
    if (event.type === 'StepOpened') this.#stepsOpened.set(event.step, event.at);
    else if (event.type === 'WaveOpened')
      this.#waves.push({ at: event.at, unit: event.unit, wave: event.wave + 1, nodes: event.nodes });
    else if (event.type === 'SlotTaken') {
      if (this.#slots.length >= limits.reportSlotsMax) {
        this.#slotsLeftOut += 1;
        return;
      }
      const held = { unit: event.unit, node: event.node, at: event.at, until: null };
      this.#slots.push(held);
      this.#openSlots.set(`${event.unit}/${event.node}`, held);
    } else if (event.type === 'SlotReleased') {
      const held = this.#openSlots.get(`${event.unit}/${event.node}`);
      if (held !== undefined) held.until = event.at;
    }
  }

  #hearApproval(event: Event): void {
    if (event.type === 'ApprovalRequested') {
      const { unit, text, at } = event;
      this.#approvals.set(unit, {
        unit,
        text,
        state: 'requested',
        requestedAt: at,
        by: null,
        at: null,
        reason: '',
      });
    } else if (event.type === 'ApprovalGiven' || event.type === 'ApprovalRejected') {
      const { unit, by, at, reason } = event;
      const { text = null, requestedAt = null } = this.#approvals.get(unit) ?? {};
      const state = event.type === 'ApprovalGiven' ? 'given' : 'rejected';
      this.#approvals.set(unit, { unit, text, state, requestedAt, by, at, reason });
    }
  }

  #hearNode(event: Event): void {
    if (event.type === 'NodeConnected') this.#agents.set(event.node, event.version);
    else if (event.type === 'FactsReported') this.#facts.set(event.node, event.digest);
  }

  /** The truth is known again, or somebody has decided. */
  #settleUnknown(event: Event): void {
    if (event.type !== 'JobFound' && event.type !== 'AttemptEnded' && event.type !== 'JobDecided') return;
    const key = `${event.step}/${event.node}`;
    const period = this.#unknown.get(key);
    if (period === undefined) return;
    period.until = event.at;
    this.#unknown.delete(key);
  }

  #deviate(deviation: Deviation, event: Event): void {
    if (this.#deviations.length >= limits.reportDeviationsMax) {
      this.#deviationsLeftOut += 1;
      return;
    }
    this.#deviations.push(deviation);
    if (event.type === 'JobUnknown') this.#unknown.set(`${event.step}/${event.node}`, deviation);
  }
}
