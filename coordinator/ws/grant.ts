/**
 * A segment of granted jobs as it goes over the wire: the only place where a reference to a secret becomes its value.
 */
import { limits } from '../../shared/limits.ts';
import type { CoordinatorMessage, InputValue, JobSpecification } from '../../shared/messages.ts';
import type { GrantedJob } from '../core/commands.ts';

type Reign = { readonly lineage: string; readonly epoch: number };

/** Throws what `secret` throws when the store does not have a value. */
export function grantMessage(
  jobs: readonly GrantedJob[],
  { lineage, epoch }: Reign,
  secret: (reference: string) => string,
): Extract<CoordinatorMessage, { type: 'grant' }> {
  const specifications = jobs.map((job) => specificationOf(job, secret));
  return { type: 'grant', lineage, epoch, jobs: specifications, expiresMs: limits.segmentExpiryMs };
}

function specificationOf(job: GrantedJob, secret: (reference: string) => string): JobSpecification {
  const inputs: Record<string, InputValue> = {};
  for (const [name, value] of Object.entries(job.inputs))
    inputs[name] = 'secret' in value ? { value: JSON.parse(secret(value.secret)) } : value;
  return { ...job, inputs };
}
