/** Takes a submission in: its files have to be here already, what it is made of is stored, its modules are pinned. */
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { LockstepError } from '../../shared/errors.ts';
import type { CreateRun } from '../core/commands.ts';
import { generateValues } from './generated-values.ts';
import type { ApiPorts } from './ports.ts';
import { readSubmission, type Submission } from './submission.ts';

/** Throws `invalid` with every fault of its files, and `conflict` for files that were not sent. */
export async function acceptSubmission(
  { blobs, sequencer, lookup, random }: ApiPorts,
  submission: Submission,
  by: string,
): Promise<{ readonly starts: CreateRun; readonly warnings: readonly Diagnostic[] }> {
  const { command, warnings, manifests, files } = readSubmission(submission, lookup.digestOf);
  const absent = await blobs.missing(files.keys());
  if (absent.length > 0) {
    const named = absent.map((digest) => `${files.get(digest)} (${digest})`);
    throw new LockstepError(
      'conflict',
      `these files have to be sent first, by PUT /blobs/…: ${named.join(', ')}`,
    );
  }
  for (const manifest of manifests) await blobs.put(manifest);
  for (const [module, digest] of Object.entries(command.pipeline.modules))
    await sequencer.submit({ type: 'PinModule', module, digest, by });
  const generated = generateValues(command.pipeline, random);
  return { starts: { ...command, generated, by }, warnings };
}
