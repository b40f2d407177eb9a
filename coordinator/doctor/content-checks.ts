/** What the journal only names: blobs by digest, secrets by reference. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as z from 'zod';
import { isMissing } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { digestPattern } from '../../shared/ids.ts';
import { toShards } from '../core/snapshot-writing.ts';
import type { State } from '../core/state.ts';
import { addFromText, addNamingFromState, nothingNamed } from '../sequence/named-digests.ts';
import { readSecrets } from '../trust/secrets.ts';
import { type Finding, finding, restoreRemedy, type Subject } from './finding.ts';

export async function* checkBlobs({ places, state }: Subject): AsyncGenerator<Finding | string> {
  const there = new Set<string>();
  for (const prefix of await namesIn(places.blobs)) {
    if (!/^[0-9a-f]{2}$/.test(prefix)) continue;
    for (const name of await namesIn(path.join(places.blobs, prefix))) {
      const file = path.join(places.blobs, prefix, name);
      const digest = `sha256:${name}`;
      if (!digestPattern.test(digest)) continue;
      if ((await digestOf(file)) === digest) there.add(digest);
      else yield finding('its content has another digest than its name', blobRemedy, { file, byte: 0 });
    }
  }
  yield `${there.size} blobs`;
  if (state === null) return;
  for (const digest of await namedIn(state, places.blobs)) {
    if (there.has(digest)) continue;
    const file = blobPlace(places.blobs, digest);
    // What is damaged has been told.
    if (!(await exists(file))) yield finding('it is named and is not there', blobRemedy, { file });
  }
}

const blobRemedy =
  'copy this file from a backup, or submit again what it belongs to; nodes report facts again by themselves';

/** Of an archived run: the digest of its plan. */
const archivedRun = z.object({ digest: z.string() });

/** By the state, and by the bundles and archived runs that it names; not digests of what is stored nowhere. */
async function namedIn(state: State, folder: string): Promise<ReadonlySet<string>> {
  const named = nothingNamed();
  addNamingFromState(named, state);
  const notBlobs = new Set(state.modules.values());
  for (const run of state.runs.values()) notBlobs.add(run.digest);
  const textOf = (digest: string): Promise<string> => contentOf(blobPlace(folder, digest));
  for (const digest of named.naming) {
    named.all.add(digest);
    addFromText(named, await textOf(digest));
  }
  for (const { digest } of state.archive.values()) {
    const archived = archivedRun.safeParse(parseJson(await textOf(digest)));
    if (archived.success) notBlobs.add(archived.data.digest);
  }
  for (const [, shard] of toShards(state)) addFromText(named, JSON.stringify(shard));
  for (const digest of notBlobs) named.all.delete(digest);
  return named.all;
}

export async function* checkSecrets(subject: Subject): AsyncGenerator<Finding | string> {
  const { state, places } = subject;
  let secrets: ReadonlyMap<string, string>;
  try {
    secrets = await readSecrets(subject);
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    const isKey = error.code !== 'damaged';
    const [, byte] = /at byte (\d+)/.exec(error.message) ?? [];
    yield finding(
      error.message,
      isKey ? 'put the right key there, readable by its owner alone' : restoreRemedy,
      {
        file: isKey ? subject.keyFile : places.secrets,
        ...(byte === undefined ? {} : { byte: Number(byte) }),
      },
    );
    return;
  }
  yield `${secrets.size} secrets`;
  if (state === null) return;
  for (const [name, shard] of toShards(state)) {
    // Those of ended runs are deleted.
    const [, run = ''] = /^run-(r\d+)/.exec(name) ?? [];
    if (run !== '' && !state.activeRuns.has(run)) continue;
    for (const reference of referencesIn(shard))
      if (!secrets.has(reference))
        yield finding(
          `the secret ${reference} is named and is not there`,
          'set the param again, or cancel the run',
          {
            file: places.secrets,
          },
        );
  }
}

/** Every `{ secret: reference }`; declarations have `secret: true` or `false`. */
function* referencesIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value))
    if (key === 'secret' && typeof inner === 'string') yield inner;
    else yield* referencesIn(inner);
}

async function digestOf(file: string): Promise<string> {
  const digester = createHash('sha256');
  await pipeline(createReadStream(file), digester);
  return `sha256:${digester.digest('hex')}`;
}

const blobPlace = (folder: string, digest: string): string => {
  const hex = digest.slice('sha256:'.length);
  return path.join(folder, hex.slice(0, 2), hex);
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function contentOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return '';
    throw error;
  });
}

async function exists(file: string): Promise<boolean> {
  return (await namesIn(path.dirname(file))).includes(path.basename(file));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
}
