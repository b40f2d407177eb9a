/** What happens to nodes, their agents, and the tokens with which they join. */
import type { Actor, NodeAdministration } from './event-values.ts';
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
