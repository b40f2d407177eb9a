/**
 * How the command line on the coordinator's own machine gets in without configuration: a token of its own and
 * the address, in a file that only the coordinator's user can read. The journal has the token's hash.
 */
import { readFile } from 'node:fs/promises';
import { writeFileDurably } from '../shared/disk/durable-file.ts';
import { limits } from '../shared/limits.ts';
import type { Command } from './core/commands.ts';
import type { Token } from './core/state.ts';
import { operatorFile } from './http/resources.ts';
import { createToken, verifyToken } from './trust/tokens.ts';

export type OperatorAccess = {
  readonly file: string;
  readonly url: string;
  readonly tokens: ReadonlyMap<string, Token>;
  readonly now: number;
  readonly submit: (command: Command) => Promise<unknown>;
};

/** Keeps the token that is there while it is valid; the address may be another at each start. */
export async function giveOperatorAccess({ file, url, tokens, now, submit }: OperatorAccess): Promise<void> {
  const kept = await readToken(file);
  if (kept !== undefined && verifyToken(tokens, kept, now)?.kind === 'operator') {
    await write(file, url, kept);
    return;
  }
  const { id, token, hash } = createToken('operator');
  await submit({
    type: 'CreateToken',
    token: id,
    hash,
    kind: 'operator',
    by: 'coordinator',
    expiresAt: null,
  });
  await write(file, url, token);
}

const write = (file: string, url: string, token: string): Promise<void> =>
  writeFileDurably(file, `${JSON.stringify({ url, token })}\n`);

/** Whatever is wrong with the file, a new token mends it. */
async function readToken(file: string): Promise<string | undefined> {
  try {
    const text = await readFile(file, 'utf8');
    return text.length > limits.complaintLengthMax ? undefined : operatorFile.parse(JSON.parse(text)).token;
  } catch {
    return undefined;
  }
}
