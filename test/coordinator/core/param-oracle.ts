/** Judges from the journal alone which layer gives each param of a granted job. */
import type { Event } from '../../../coordinator/core/events.ts';

type Labels = Readonly<Record<string, string>>;
type Applied = Extract<Event, { type: 'ProfileApplied' }>;

/** Those of random-params.ts: every script gets them by name. */
const changing: ReadonlySet<string> = new Set(['size', 'zone']);

export class ParamOracle {
  readonly #labels = new Map<string, { own: Labels; given: Labels }>();
  /** Of nodes, and what runs froze, by name. */
  readonly #ofNode = new Map<string, Map<string, unknown>>();
  readonly #frozen = new Map<string, Extract<Event, { type: 'RunCreated' }>['params']>();
  readonly #roles = new Map<string, Extract<Event, { type: 'RunPlanned' }>['roles']>();
  readonly #profiles = new Map<string, Applied>();

  check(event: Event): void {
    switch (event.type) {
      case 'NodeConnected': {
        const given = this.#labels.get(event.node)?.given ?? {};
        this.#labels.set(event.node, { own: event.labels, given });
        return;
      }
      case 'NodeLabelled': {
        const known = this.#labels.get(event.node) ?? { own: {}, given: {} };
        const kept = Object.entries(known.given).filter(([key]) => !event.unset.includes(key));
        this.#labels.set(event.node, {
          own: known.own,
          given: { ...Object.fromEntries(kept), ...event.set },
        });
        return;
      }
      case 'NodeRemoved':
        this.#labels.delete(event.node);
        this.#ofNode.delete(event.node);
        return;
      case 'ParamSet':
      case 'ParamUnset': {
        if (!('node' in event.scope)) return;
        const params = this.#ofNode.get(event.scope.node) ?? new Map<string, unknown>();
        this.#ofNode.set(event.scope.node, params);
        if (event.type === 'ParamSet') params.set(event.name, event.value);
        else params.delete(event.name);
        return;
      }
      case 'ProfileApplied':
        this.#profiles.set(event.profile, event);
        return;
      case 'ProfileRemoved':
        this.#profiles.delete(event.profile);
        return;
      case 'RunCreated':
        this.#frozen.set(event.run, event.params);
        return;
      case 'RunPlanned':
        this.#roles.set(event.run, event.roles);
        return;
      case 'JobGranted':
        for (const [name, { from, value }] of Object.entries(this.#frozen.get(event.run) ?? {})) {
          if (!changing.has(name)) continue;
          const wanted = JSON.stringify(this.#valueOf(event.run, event.node, name, from) ?? value);
          const got = JSON.stringify(event.inputs[name]);
          if (wanted !== got)
            throw new Error(
              `param ${name} of ${event.run}/${event.step}/${event.node} is ${got}, not ${wanted}`,
            );
        }
    }
  }

  /** What stands above the layer that the run froze, if something does. */
  #valueOf(run: string, node: string, name: string, frozen: string): unknown {
    if (frozen === 'run') return undefined;
    const own = this.#ofNode.get(node)?.get(name);
    if (own !== undefined || frozen === 'cluster') return own;
    let best: Applied | undefined;
    for (const each of this.#profiles.values()) {
      if (each.params[name] === undefined || !this.#applies(each, run, node)) continue;
      const isBetter =
        best === undefined ||
        each.priority > best.priority ||
        (each.priority === best.priority && each.profile < best.profile);
      if (isBetter) best = each;
    }
    return best?.params[name];
  }

  #applies({ where }: Applied, run: string, node: string): boolean {
    const { own, given } = this.#labels.get(node) ?? { own: {}, given: {} };
    const labels: Labels = { ...own, ...given };
    const fits = Object.entries(where.labels).every(([key, values]) => values.includes(labels[key] ?? ''));
    const roles = this.#roles.get(run) ?? {};
    return fits && (where.roles === null || where.roles.some((role) => roles[role]?.nodes.includes(node)));
  }
}
