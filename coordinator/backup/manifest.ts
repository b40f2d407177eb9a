/**
 * What a backup is: a folder with `data/`, the data folder as it was at one seq, perhaps `key`, and
 * `manifest.json`, which is written last. The manifest has the digest of every block of every file, so that a
 * flipped bit is found, and told with its place, before anything is touched. A folder, because every tool can
 * copy, compare and pack one, damage in it stays where it is, and nothing has to be unpacked to look at it.
 */
import path from 'node:path';
import { Low } from 'lowdb';
import * as z from 'zod';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import { LockstepError } from '../../shared/errors.ts';

const formatNewest = 1;

const relativePath = z
  .string()
  .refine((name) => !name.split('/').some((part) => part === '..' || part === ''));

const fileEntry = z.object({
  /** From the backup's folder on. */
  path: relativePath,
  bytes: z.int().nonnegative(),
  /** SHA-256 of each `blockBytes`, hex. */
  blocks: z.array(z.string()),
});

const manifestSchema = z.object({
  format: z.literal(formatNewest),
  takenAt: z.iso.datetime(),
  /** Of the program that took it. */
  version: z.string(),
  lineage: z.string(),
  epoch: z.int().nonnegative(),
  seq: z.int().nonnegative(),
  /** Of the journal's chain at `seq`. */
  hash: z.string(),
  withLogs: z.boolean(),
  withKey: z.boolean(),
  blockBytes: z.int().positive(),
  files: z.array(fileEntry),
});

export type Manifest = z.infer<typeof manifestSchema>;

export const dataOf = (backup: string): string => path.join(backup, 'data');
export const keyOf = (backup: string): string => path.join(backup, 'key');

const adapterOf = (backup: string): DurableAdapter<Manifest> =>
  new DurableAdapter(path.join(backup, 'manifest.json'), (document) => {
    const { format } = z.looseObject({ format: z.number().optional() }).parse(document);
    if (format !== undefined && format > formatNewest)
      throw new LockstepError(
        'version',
        `${backup} has format ${format} and this version knows up to ${formatNewest}: restore it with the version that took it, or a newer one`,
      );
    return manifestSchema.parse(document);
  });

export async function writeManifest(backup: string, manifest: Omit<Manifest, 'format'>): Promise<void> {
  await new Low<Manifest>(adapterOf(backup), { format: formatNewest, ...manifest }).write();
}

/** Throws `not-found` for what is no backup, or not a whole one, and `damaged` for a manifest that is not as it was written. */
export async function readManifest(backup: string): Promise<Manifest> {
  const manifest = await adapterOf(backup).read();
  if (manifest !== null) return manifest;
  throw new LockstepError(
    'not-found',
    `${backup} is not a backup, or was not finished: it has no manifest.json; name the folder that \`lockstep backup\` made`,
  );
}
