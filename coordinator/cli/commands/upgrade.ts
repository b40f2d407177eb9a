/** `lockstep upgrade agents`: offers a file as another version of the agent to the nodes that it is meant for. */
import { readFileSync } from 'node:fs';
import { LockstepError, messageOf } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';
import { agentOffered } from '../../http/resources.ts';
import { digestOf } from '../file-set.ts';
import { exitCodes } from '../outcome.ts';
import { countedNames, selectorOf } from '../render/node-names.ts';
import { type CommonOptions, withCoordinator } from '../session.ts';
import { uploadMissing } from '../submission.ts';

export type UpgradeOptions = CommonOptions & {
  readonly file: string;
  readonly version: string;
  readonly where?: string;
  readonly max: number;
  readonly within: number;
};

export async function offerAgents(options: UpgradeOptions): Promise<number> {
  const { file, version, where, max, within } = options;
  const content = readProgram(file);
  const digest = digestOf(content);
  return withCoordinator(options, async ({ client, terminal }) => {
    await uploadMissing(client, new Map([[digest, file]]));
    const body = {
      version,
      digest,
      sizeBytes: content.length,
      architecture: architectureOf(content),
      where: where === undefined ? null : selectorOf(where),
      atOnce: max,
      healthyWithinMs: within,
    };
    const offered = await client.send('POST', '/api/agents/offers', body, agentOffered);
    if (options.output !== undefined) terminal.printJson(offered);
    else if (offered.nodes.length === 0)
      terminal.note(`no node has to take agent ${version}: all have it, or none fits`);
    else
      terminal.print([
        [
          {
            text: `agent ${version} is offered to ${countedNames(offered.nodes)}, one first; see lockstep nodes`,
            style: 'plain',
          },
        ],
      ]);
    return exitCodes.done;
  });
}

function readProgram(file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    throw new LockstepError('usage', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  if (content.length > limits.blobBytesMax)
    throw new LockstepError('too-large', `${file} has more than ${limits.blobBytesMax} bytes`);
  return content;
}

/** `e_machine` of an ELF file, as `uname -m` calls it on such a machine. */
const architectures: Readonly<Record<number, string>> = { 62: 'x86_64', 183: 'aarch64' };

/** Null for a script, which runs anywhere. */
function architectureOf(content: Buffer): string | null {
  if (content.length < 20 || content.toString('latin1', 0, 4) !== '\x7fELF') return null;
  const machine = content.readUInt16LE(18);
  const known = architectures[machine];
  if (known === undefined)
    throw new LockstepError('usage', `no agent runs on the machine of this file (ELF machine ${machine})`);
  return known;
}
