/**
 * A granted job as it goes over the wire: the only place where a reference to a secret becomes its value.
 */
import type { CoordinatorMessage, InputValue, JobSpecification } from '../../shared/messages.ts';
import type { GrantedJob } from '../core/commands.ts';

type Reign = { readonly lineage: string; readonly epoch: number };

/** Throws what `secret` throws when the store does not have a value. */
export function grantMessage(
  job: GrantedJob,
  reign: Reign,
  secret: (reference: string) => string,
): Extract<CoordinatorMessage, { type: 'grant' }> {
  const inputs: Record<string, InputValue> = {};
  for (const [name, value] of Object.entries(job.inputs))
    inputs[name] = 'secret' in value ? { value: JSON.parse(secret(value.secret)) } : value;
  const specification: JobSpecification = { ...job, inputs };
  return { type: 'grant', lineage: reign.lineage, epoch: reign.epoch, jobs: [specification] };
}
