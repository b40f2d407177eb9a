/**
 * What an agent must be able to do for a job, so that one that is too old is not asked (P12). To make a job need a
 * feature, name the feature in shared/features.ts and say here, in one line, which jobs need it.
 */
import { type Feature, features } from '../../shared/features.ts';
import type { Job, Node } from './state.ts';

type Needs = (job: Job) => boolean;

/** Which jobs cannot do without. */
const neededBy: Readonly<Partial<Record<Feature, Needs>>> = {
  reboot: ({ step: { step } }) => step.reboot !== undefined || step.rebootTimeoutMs !== undefined,
};

export const hasFeature = (node: Node, feature: Feature): boolean => node.features.includes(feature);

/** What the job takes and the agent of the node does not have. */
export function lacks(node: Node, job: Job): readonly Feature[] {
  const missing: Feature[] = [];
  for (const [feature, needs] of Object.entries(neededBy) as [Feature, Needs][])
    if (!hasFeature(node, feature) && needs(job)) missing.push(feature);
  return missing;
}

/** `n3 runs agent 0.1.0, which cannot …`, with what to do about it. */
export function lackSentence(node: Node, missing: readonly Feature[]): string {
  const what = missing.map((feature) => `${features[feature].what} (since ${features[feature].since})`);
  const how = hasFeature(node, 'upgrade') ? 'lockstep upgrade agents' : `install a newer one on ${node.name}`;
  return `${node.name} runs agent ${node.version}, which cannot ${what.join(', nor ')}: ${how}`;
}
