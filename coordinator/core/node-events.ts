/** What happens to nodes, their agents, and the tokens with which they join. */
import type { Hardware } from '../../shared/hardware.ts';
import type { Actor, NodeAdministration } from './event-values.ts';
import type { Expectation } from './expectation.ts';
import type { AgentOffer } from './offer.ts';

export type NodeEvent =
  | {
      readonly type: 'TokenCreated';
      readonly token: string;
      /** SHA-256 of the secret, hex. (`hash` is the journal's own name for the link between lines.) */
      readonly secretHash: string;
      readonly kind: 'join' | 'operator';
      readonly by: Actor;
      readonly expiresAt: number | null;
    }
  | { readonly type: 'TokenRevoked'; readonly token: string; readonly by: Actor }
  | {
      readonly type: 'NodeJoined';
      readonly node: string;
      readonly incarnation: string;
      readonly machineId: string | null;
      readonly labels: Readonly<Record<string, string>>;
      readonly token: string;
      /** What the machine is known by, when its agent tells. */
      readonly hardware?: Hardware;
      /** The mark by which it is the expected machine, and the name that it would have had. */
      readonly met?: { readonly mark: string; readonly asked: string };
      /** Why it met no expectation although some could have been meant. */
      readonly unmet?: string;
    }
  | {
      readonly type: 'NodeConnected';
      readonly node: string;
      readonly boot: string;
      readonly counter: number;
      readonly version: string;
      readonly address: string | null;
      readonly diskless: boolean;
      readonly labels: Readonly<Record<string, string>>;
      /** What its agent can do that older ones cannot; absent when that is nothing. */
      readonly features?: readonly string[];
      /** When it is not what was known. */
      readonly hardware?: Hardware;
    }
  | { readonly type: 'NodeDisconnected'; readonly node: string; readonly reason: string }
  | { readonly type: 'NodeUnreachable'; readonly node: string; readonly since: number }
  | { readonly type: 'FactsReported'; readonly node: string; readonly digest: string }
  | {
      readonly type: 'NodeLabelled';
      readonly node: string;
      readonly set: Readonly<Record<string, string>>;
      readonly unset: readonly string[];
      readonly by: Actor;
    }
  | {
      readonly type: 'NodeAdministered';
      readonly node: string;
      readonly administration: NodeAdministration;
      readonly by: Actor;
      readonly reason: string;
    }
  /** Nodes that are to come: those that were not known, or were known otherwise. */
  | { readonly type: 'NodesExpected'; readonly nodes: readonly Expectation[]; readonly by: Actor }
  /** Its machine is this node no more; the next one takes the name. */
  | { readonly type: 'NodeReplaced'; readonly node: string; readonly by: Actor; readonly reason: string }
  | { readonly type: 'NodeRemoved'; readonly node: string; readonly by: Actor; readonly reason: string }
  | (AgentOffer & { readonly type: 'AgentOffered'; readonly by: Actor })
  | {
      readonly type: 'AgentUpgradeBegan';
      readonly node: string;
      readonly offer: number;
      readonly version: string;
    }
  | {
      readonly type: 'AgentUpgradeFailed';
      readonly node: string;
      readonly offer: number;
      readonly version: string;
      readonly digest: string;
      readonly reason: string;
    };
