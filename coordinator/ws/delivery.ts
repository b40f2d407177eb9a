/** What was decided, as messages on the connection of the node that it concerns; they leave in the next frame. */
import { assertNever } from '../../shared/assert.ts';
import { messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { CoordinatorMessage } from '../../shared/messages.ts';
import type { Effect, GrantedJob } from '../core/commands.ts';
import { type AgentConnection, closeCodes } from './connection.ts';
import { grantMessage } from './grant.ts';
import type { Outbox } from './outbox.ts';
import type { GatewayPorts } from './ports.ts';
import type { GrantWatch } from './stalls.ts';

type Ports = Pick<GatewayPorts, 'reign' | 'secret' | 'now' | 'warn'>;

export class Delivery {
  readonly #ports: Ports;
  readonly #byNode: ReadonlyMap<string, AgentConnection>;
  readonly #outbox: Outbox;
  readonly #grants: GrantWatch;

  constructor(
    ports: Ports,
    byNode: ReadonlyMap<string, AgentConnection>,
    outbox: Outbox,
    grants: GrantWatch,
  ) {
    this.#ports = ports;
    this.#byNode = byNode;
    this.#outbox = outbox;
    this.#grants = grants;
  }

  deliver(effect: Effect): void {
    switch (effect.kind) {
      case 'welcome':
        this.send(effect.node, {
          type: 'welcome',
          node: effect.node,
          heartbeatMs: limits.heartbeatIntervalMs,
          factsWanted: effect.factsWanted,
        });
        return;
      case 'grant':
        this.#grant(effect.node, effect.jobs);
        return;
      case 'recall': {
        const { attempts, reason } = effect;
        this.send(effect.node, { type: 'recall', attempts: [...attempts], reason });
        return;
      }
      case 'cancel':
        this.send(effect.node, { type: 'cancel', attempt: effect.attempt, reason: effect.reason });
        return;
      case 'upgrade': {
        const { offer, version, digest, healthyWithinMs } = effect.offer;
        this.send(effect.node, { type: 'upgrade', offer, version, digest, healthyWithinMs });
        return;
      }
      case 'ack-results':
        this.send(effect.node, { type: 'ack-results', upTo: effect.upTo });
        return;
      case 'disconnect': {
        const connection = this.#byNode.get(effect.node);
        if (connection?.joined?.counter === effect.counter)
          connection.close(closeCodes.replaced, effect.reason);
        return;
      }
      case 'reject':
        // Belongs to the connection whose hello was decided, which heard of it when that was settled.
        return;
      default:
        assertNever(effect);
    }
  }

  /** What cannot be sent now is sent again by the core when the node is back. */
  send(node: string, message: CoordinatorMessage): void {
    const connection = this.#byNode.get(node);
    if (connection?.isOpen === true) this.#outbox.add(connection, message);
  }

  #grant(node: string, jobs: readonly GrantedJob[]): void {
    const connection = this.#byNode.get(node);
    if (connection?.isOpen !== true) return;
    try {
      this.#outbox.add(connection, grantMessage(jobs, this.#ports.reign(), this.#ports.secret));
      const [first] = jobs;
      if (first !== undefined) this.#grants.granted(node, first.attempt, this.#ports.now());
    } catch (error) {
      // Sent again when the node connects; until then `why` shows the job as granted.
      this.#ports.warn('a job cannot be sent to its node', {
        attempt: jobs[0]?.attempt,
        reason: messageOf(error),
      });
    }
  }
}
