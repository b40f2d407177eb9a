/** The agent that an operator offers, and how far that is. Who takes it when is in upgrades.ts. */

/** Another version of the agent, as an operator offers it. */
export type AgentOffer = {
  readonly offer: number;
  readonly version: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** In the words of `facts.cpu.architecture`; null when it runs anywhere. */
  readonly architecture: string | null;
  /** CEL over name, labels, facts; null for every node. */
  readonly where: string | null;
  /** How many nodes may take it at the same time, once one has taken it. */
  readonly atOnce: number;
  readonly healthyWithinMs: number;
};

export type OfferState = AgentOffer & {
  readonly by: string;
  readonly at: number;
  /** Nodes that were told, with since when; they are not heard of yet as one version or the other. */
  readonly taking: Map<string, number>;
  /** How many connected with the new version after they were told. */
  taken: number;
  /** Node and reason, in order; with the first one the offer stops. */
  readonly failed: Map<string, string>;
};
