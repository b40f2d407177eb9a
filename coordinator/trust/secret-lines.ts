/**
 * The text of the secrets file: a header that proves the key, then one line for each change, which is one write
 * and therefore wholly there or not at all. Values are sealed by AES-256-GCM with a nonce of their own, and
 * with what is done to which reference as associated data, so that no line can stand for another reference.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import * as z from 'zod';

export const formatNewest = 1;

const nonceBytes = 12;
const tagBytes = 16;
const algorithm = 'aes-256-gcm';
const proof = 'lockstep secrets';

/** What one line does to one reference. */
export type Change =
  | { readonly kind: 'put'; readonly reference: string; readonly value: string }
  | { readonly kind: 'delete'; readonly reference: string };

const headerSchema = z.object({ secrets: z.object({ format: z.int().positive(), proof: z.base64() }) });

const lineSchema = z.object({
  changes: z
    .array(z.object({ kind: z.enum(['put', 'delete']), reference: z.string(), sealed: z.base64() }))
    .min(1),
});

export type Header =
  | { readonly kind: 'right' | 'wrong-key' | 'damaged' }
  | { readonly kind: 'future'; readonly format: number };

export const encodeSecretsHeader = (key: Buffer): string =>
  `${JSON.stringify({ secrets: { format: formatNewest, proof: seal(key, 'proof', proof) } })}\n`;

export function decodeSecretsHeader(key: Buffer, line: string): Header {
  const parsed = headerSchema.safeParse(parseJson(line));
  if (!parsed.success) return { kind: 'damaged' };
  const { format, proof: sealed } = parsed.data.secrets;
  if (format > formatNewest) return { kind: 'future', format };
  return { kind: unseal(key, 'proof', sealed) === proof ? 'right' : 'wrong-key' };
}

export function encodeChanges(key: Buffer, changes: readonly Change[]): string {
  const sealed = changes.map((change) => {
    const { kind, reference } = change;
    return {
      kind,
      reference,
      sealed: seal(key, purposeOf(kind, reference), kind === 'put' ? change.value : ''),
    };
  });
  return `${JSON.stringify({ changes: sealed })}\n`;
}

/** Undefined for a line that is not as it was written. */
export function decodeChanges(key: Buffer, line: string): readonly Change[] | undefined {
  const parsed = lineSchema.safeParse(parseJson(line));
  if (!parsed.success) return undefined;
  const changes: Change[] = [];
  for (const { kind, reference, sealed } of parsed.data.changes) {
    const value = unseal(key, purposeOf(kind, reference), sealed);
    if (value === undefined) return undefined;
    changes.push(kind === 'put' ? { kind, reference, value } : { kind, reference });
  }
  return changes;
}

const purposeOf = (kind: Change['kind'], reference: string): string => `${kind} ${reference}`;

/** Base64 of nonce, ciphertext and tag. */
function seal(key: Buffer, purpose: string, text: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(purpose));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
    'base64',
  );
}

function unseal(key: Buffer, purpose: string, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(-tagBytes));
  try {
    const text = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
    return Buffer.concat([text, decipher.final()]).toString();
  } catch {
    // Another key, another reference, or another byte; which of them is not to be told apart.
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
