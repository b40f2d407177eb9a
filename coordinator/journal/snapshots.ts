/**
 * State at a seq, so that starting does not fold the whole journal. A snapshot is a folder of lowdb documents:
 * shards, which bound how much JSON is in memory as one text, and a manifest that is written last. A folder
 * without a manifest is not a snapshot. What the shards mean is their writer's business.
 *
 * Snapshots are written by a child process that folds sealed segments (history.ts, `readSealed`), because
 * turning state into JSON takes longer than the coordinator's loop may stand still.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Low } from 'lowdb';
import * as z from 'zod';
import { assert, present } from '../../shared/assert.ts';
import { DurableAdapter } from '../../shared/disk/durable-adapter.ts';
import { isMissing, makeFolder, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import type { Position } from './port.ts';

const formatNewest = 1;
const folderPattern = /^\d{20}$/;
const shardNamePattern = /^[a-z0-9][a-z0-9.-]{0,99}$/;

const formatSchema = z.object({ format: z.int().positive() });

const manifestSchema = z.object({
  format: z.literal(formatNewest),
  seq: z.int().nonnegative(),
  hash: z.string(),
  lineage: z.string(),
  shards: z.array(z.object({ name: z.string().regex(shardNamePattern), checksum: z.string() })),
});

type Manifest = z.infer<typeof manifestSchema>;

/** Where in which history the state stood. */
export type SnapshotPosition = Position & { readonly lineage: string };

export type Snapshot = SnapshotPosition & { readonly shards: ReadonlyMap<string, unknown> };

type Shard = readonly [name: string, value: object];
type Shards = AsyncIterable<Shard> | Iterable<Shard>;

/**
 * Resolves when the snapshot is durable; older ones than the newest `snapshotsKept` are then gone. One shard is
 * in memory as text at a time. Shard names are lower case words; each value is what JSON keeps of it.
 */
export async function writeSnapshot(
  folder: string,
  position: SnapshotPosition,
  shards: Shards,
): Promise<void> {
  const { seq, hash, lineage } = position;
  const place = placeOf(folder, seq);
  // A whole one says the same; replacing it would leave a moment without. Anything else there is a leftover.
  if (await isWhole(place, position)) return;
  await rm(place, { recursive: true, force: true });
  await makeFolder(place);
  const written: Manifest['shards'] = [];
  for await (const [name, value] of shards) {
    assert(
      shardNamePattern.test(name) && !written.some((shard) => shard.name === name),
      `a new shard name: ${name}`,
    );
    if (written.length >= limits.snapshotShardsMax) throw tooMany(place);
    const adapter = new DurableAdapter<unknown>(shardFile(place, name), (document) => document);
    await new Low<unknown>(adapter, value).write();
    written.push({ name, checksum: present(adapter.checksum, 'checksum of what was written') });
  }
  const manifest: Manifest = { format: formatNewest, seq, hash, lineage, shards: written };
  await new Low<Manifest>(manifestAdapter(place), manifest).write();
  await removeOlder(folder, seq);
}

export type SnapshotSearch = {
  /** The newest one that is whole; undefined when there is none at all. */
  readonly snapshot: Snapshot | undefined;
  /** Why newer ones were passed over, to be logged. */
  readonly passedOver: readonly string[];
};

/** Why a snapshot is of no use although it is whole; undefined when it is of use. */
export type Refusal = (shards: ReadonlyMap<string, unknown>) => string | undefined;

/**
 * The newest snapshot that verifies and is not refused. Those that a newer version wrote in words of its own are
 * passed over: an older one, or the journal from its beginning, says the same. Throws `damaged` when one is
 * damaged and none is left. Those without a manifest, which an interrupted writer leaves, do not count.
 */
export async function readSnapshot(
  folder: string,
  refusal: Refusal = () => undefined,
): Promise<SnapshotSearch> {
  const passedOver: string[] = [];
  let isDamaged = false;
  for (const seq of await listSeqs(folder)) {
    const place = placeOf(folder, seq);
    try {
      const manifest = await readManifest(place);
      if (manifest === undefined) continue;
      const snapshot = await readShards(place, manifest);
      const refused = refusal(snapshot.shards);
      if (refused === undefined) return { snapshot, passedOver };
      passedOver.push(`cannot use the snapshot ${place}: ${refused}`);
    } catch (error) {
      if (!isOfNoUse(error)) throw error;
      if (error.code === 'damaged') isDamaged = true;
      passedOver.push(messageOf(error));
    }
  }
  if (!isDamaged) return { snapshot: undefined, passedOver };
  throw new LockstepError(
    'damaged',
    `no snapshot in ${folder} is whole: ${passedOver.join('; ')}; run \`lockstep doctor\`, or remove them if the ` +
      'journal still begins at seq 1',
  );
}

export type Examined =
  | { readonly kind: 'whole'; readonly snapshot: Snapshot }
  | { readonly kind: 'damaged'; readonly seq: number; readonly place: string; readonly why: string };

/** Every snapshot, the oldest first; those that an interrupted writer left do not count. */
export async function* examineSnapshots(folder: string): AsyncGenerator<Examined> {
  for (const seq of (await listSeqs(folder)).toReversed()) {
    const place = placeOf(folder, seq);
    try {
      const manifest = await readManifest(place);
      if (manifest !== undefined) yield { kind: 'whole', snapshot: await readShards(place, manifest) };
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'damaged') throw error;
      yield { kind: 'damaged', seq, place, why: messageOf(error) };
    }
  }
}

/**
 * The seq of the oldest snapshot that is kept, from which on the journal must be kept too, so that the state
 * can be restored when the newest is damaged; undefined without snapshots.
 */
export async function oldestSnapshot(folder: string): Promise<number | undefined> {
  return (await listWhole(folder)).at(-1);
}

const isOfNoUse = (error: unknown): error is LockstepError =>
  error instanceof LockstepError && (error.code === 'damaged' || error.code === 'version');

const placeOf = (folder: string, seq: number): string => path.join(folder, String(seq).padStart(20, '0'));
const shardFile = (place: string, name: string): string => path.join(place, `shard-${name}.json`);

const manifestAdapter = (place: string): DurableAdapter<Manifest> =>
  new DurableAdapter(path.join(place, 'manifest.json'), (document) => parseManifest(place, document));

function parseManifest(place: string, document: unknown): Manifest {
  const format = formatSchema.safeParse(document);
  if (format.success && format.data.format > formatNewest) {
    throw new LockstepError(
      'version',
      `cannot read the snapshot ${place}: it has format ${format.data.format} and this version knows up to ` +
        `${formatNewest}; use the version that wrote it, or a newer one`,
    );
  }
  const manifest = manifestSchema.safeParse(document);
  if (manifest.success) return manifest.data;
  throw new LockstepError(
    'damaged',
    `the manifest of the snapshot ${place} is not one: ${manifest.error.message}`,
  );
}

async function readManifest(place: string): Promise<Manifest | undefined> {
  return (await manifestAdapter(place).read()) ?? undefined;
}

async function readShards(place: string, manifest: Manifest): Promise<Snapshot> {
  const shards = new Map<string, unknown>();
  for (const { name, checksum } of manifest.shards) {
    const adapter = new DurableAdapter<unknown>(shardFile(place, name), (document) => document);
    const low = new Low<unknown>(adapter, null);
    await low.read();
    if (adapter.checksum !== checksum) {
      const why = adapter.checksum === undefined ? 'is missing' : 'is another one than its manifest names';
      throw new LockstepError('damaged', `shard ${name} of the snapshot ${place} ${why}`);
    }
    shards.set(name, low.data);
  }
  const { seq, hash, lineage } = manifest;
  return { seq, hash, lineage, shards };
}

async function isWhole(place: string, position: SnapshotPosition): Promise<boolean> {
  try {
    const manifest = await readManifest(place);
    if (manifest === undefined || manifest.hash !== position.hash) return false;
    await readShards(place, manifest);
    return true;
  } catch (error) {
    if (isOfNoUse(error)) return false;
    throw error;
  }
}

/** Newest first, whole or not. */
async function listSeqs(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names
    .filter((name) => folderPattern.test(name))
    .map(Number)
    .sort((a, b) => b - a);
}

async function listWhole(folder: string): Promise<readonly number[]> {
  const whole: number[] = [];
  for (const seq of await listSeqs(folder)) {
    const manifest = await readManifest(placeOf(folder, seq)).catch(() => undefined);
    if (manifest !== undefined) whole.push(seq);
  }
  return whole;
}

/** Removes what is older than the newest ones, and what interrupted writers left. */
async function removeOlder(folder: string, newest: number): Promise<void> {
  const kept = new Set((await listWhole(folder)).slice(0, limits.snapshotsKept));
  for (const seq of await listSeqs(folder)) {
    if (seq <= newest && !kept.has(seq)) await rm(placeOf(folder, seq), { recursive: true, force: true });
  }
  await syncFolder(folder);
}

const tooMany = (place: string): LockstepError =>
  new LockstepError(
    'too-many',
    `cannot write the snapshot ${place}: snapshotShardsMax is ${limits.snapshotShardsMax}`,
  );
