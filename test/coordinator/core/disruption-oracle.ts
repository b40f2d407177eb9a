/** P8 over all runs: judges from the journal alone whether a slot is within the disruption budget of the one cluster. */
import type { Event } from '../../../coordinator/core/events.ts';
import type { Amount, Pipeline } from '../../../shared/pipeline/model.ts';

export class DisruptionOracle {
  #budget: Amount | null = null;
  /** Nodes that are not retired, and whether they are down by themselves or by an operator. */
  readonly #nodes = new Map<string, { unreachable: boolean; administration: string }>();
  readonly #pipelines = new Map<string, Pipeline>();
  /** `run/unit/node` of every slot. */
  readonly #slots = new Set<string>();
  /** Slots that were taken back, or not, when a leader was elected: they need no room, and take none for certain. */
  readonly #perhaps = new Set<string>();

  check(event: Event): void {
    switch (event.type) {
      case 'DisruptionBudgetSet':
        this.#budget = event.maxUnavailable;
        return;
      case 'NodeJoined':
        if (!this.#nodes.has(event.node))
          this.#nodes.set(event.node, { unreachable: false, administration: 'in-service' });
        return;
      case 'NodeRemoved':
        this.#nodes.delete(event.node);
        return;
      case 'NodeConnected':
      case 'NodeUnreachable': {
        const node = this.#nodes.get(event.node);
        if (node !== undefined) node.unreachable = event.type === 'NodeUnreachable';
        return;
      }
      case 'NodeAdministered': {
        const node = this.#nodes.get(event.node);
        if (node !== undefined) node.administration = event.administration;
        return;
      }
      case 'RunCreated':
        this.#pipelines.set(event.run, event.pipeline);
        return;
      case 'SlotTaken':
        this.#checkSlot(event.run, event.unit, event.node);
        return;
      case 'SlotReleased':
        this.#slots.delete(`${event.run}/${event.unit}/${event.node}`);
        this.#perhaps.delete(`${event.run}/${event.unit}/${event.node}`);
        return;
      case 'LeaderElected':
        // Steps that the new leader has now are laid out anew, without slots, when nobody has begun them.
        for (const { id, on } of this.#pipelines.get(event.run)?.units ?? [])
          if (on.some(({ role, who }) => role === event.role && who !== 'all'))
            for (const node of this.#drop(`${event.run}/${id}/`))
              this.#perhaps.add(`${event.run}/${id}/${node}`);
        return;
      case 'RunConcluded':
      case 'RunEnded':
        this.#drop(`${event.run}/`);
        for (const slot of [...this.#perhaps])
          if (slot.startsWith(`${event.run}/`)) this.#perhaps.delete(slot);
        return;
      default:
        return;
    }
  }

  /** The nodes whose slots these were. */
  #drop(prefix: string): readonly string[] {
    const slots = [...this.#slots].filter((slot) => slot.startsWith(prefix));
    for (const slot of slots) this.#slots.delete(slot);
    return slots.map(nodeOf);
  }

  #checkSlot(run: string, unit: string, node: string): void {
    const before = this.#unavailable();
    this.#slots.add(`${run}/${unit}/${node}`);
    if (this.#budget === null || before.has(node) || [...this.#perhaps].map(nodeOf).includes(node)) return;
    const total = [...this.#nodes.values()].filter(
      ({ administration }) => administration !== 'retired',
    ).length;
    const max =
      'count' in this.#budget
        ? this.#budget.count
        : Math.max(1, Math.floor((this.#budget.percent * total) / 100));
    if (before.size < max) return;
    throw new Error(
      `P8: a slot for ${node} in ${run} while ${[...before].join(', ')} are unavailable, and ${max} of ${total} may be`,
    );
  }

  #unavailable(): Set<string> {
    const slots = [...this.#slots].map(nodeOf);
    const down = [...this.#nodes]
      .filter(([, { unreachable, administration }]) => unreachable || administration !== 'in-service')
      .map(([name]) => name);
    return new Set([...slots, ...down].filter((name) => this.#nodes.get(name)?.administration !== 'retired'));
  }
}

const nodeOf = (slot: string): string => slot.slice(slot.lastIndexOf('/') + 1);
