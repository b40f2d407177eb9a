/**
 * Programs by digest, `<state>/versions/<hex>/lockstep-agent`: fetched, verified, and asked what they are before
 * anything depends on them. Each fault is a reason in words for the operator who offered the program.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isMissing, makeFolder, removeIfThere, syncFolder } from '../../shared/disk/durable-file.ts';
import { LockstepError } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';

type Program = { readonly digest: string; readonly version: string };

const programMode = 0o700;
const folderOf = (state: string): string => path.join(state, 'versions');
const hexOf = (digest: string): string => digest.slice(digest.indexOf(':') + 1);

export const programFile = (state: string, digest: string): string =>
  path.join(folderOf(state), hexOf(digest), 'lockstep-agent');

/** Fetches what is missing and verifies it; throws with the reason when the program is not what was promised. */
export async function takeProgram(
  state: string,
  program: Program,
  fetch: (digest: string, file: string) => Promise<void>,
): Promise<void> {
  const file = programFile(state, program.digest);
  const folder = path.dirname(file);
  const part = `${file}.part`;
  await makeFolder(folder);
  await fetch(program.digest, part);
  const found = await digestOf(part);
  if (found !== program.digest) {
    await removeIfThere(part);
    throw unfit(`what was fetched is ${found}, not ${program.digest}`);
  }
  await chmod(part, programMode);
  const handle = await open(part, 'r');
  await handle.sync().finally(() => handle.close());
  await rename(part, file);
  await syncFolder(folder);
  await checkProgram(state, program);
}

/** Throws with the reason when the program is missing, cannot run here, or is another version than was promised. */
export async function checkProgram(state: string, { digest, version }: Program): Promise<void> {
  const file = programFile(state, digest);
  await checkOpening(file);
  const answer = await ask(file);
  if (answer !== version)
    throw unfit(
      `it says that it is version ${JSON.stringify(answer)}, and ${JSON.stringify(version)} was promised`,
    );
}

/** Removes all but these: a program has the size of a runtime, and what failed is of no more use. */
export async function pruneVersions(state: string, digests: readonly string[]): Promise<void> {
  const kept = new Set(digests.map(hexOf));
  await makeFolder(folderOf(state));
  for (const name of await readdir(folderOf(state)))
    if (!kept.has(name)) await rm(path.join(folderOf(state), name), { recursive: true, force: true });
}

const unfit = (reason: string): LockstepError => new LockstepError('invalid', reason);

/** `e_machine` of an ELF file, by what Node calls the architecture. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** A file that is neither ELF nor a script would be run as a script by some ways of starting it. */
async function checkOpening(file: string): Promise<void> {
  const opening = Buffer.alloc(20);
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw isMissing(error) ? unfit('its file is missing') : error;
  });
  await handle.read(opening, 0, opening.length, 0).finally(() => handle.close());
  if (opening.toString('latin1', 0, 2) === '#!') return;
  if (opening.toString('latin1', 0, 4) !== '\x7fELF') throw unfit('it is no program');
  const machine = opening.readUInt16LE(18);
  if (machine !== machines[process.arch])
    throw unfit(
      `it is made for another machine (ELF machine ${machine}) than this one, which is ${process.arch}`,
    );
}

/** What it prints for `--version`. */
function ask(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, ['--version'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: limits.upgradeAnswerMs,
      killSignal: 'SIGKILL',
    });
    let answer = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      answer = (answer + text).slice(0, limits.complaintLengthMax);
    });
    child.once('error', (error) => reject(unfit(`it cannot be started: ${error.message}`)));
    child.once('close', (status, signal) => {
      if (status === 0) resolve(answer.trim());
      else reject(unfit(`asked for its --version, it ended with ${status ?? signal}`));
    });
  });
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `sha256:${hash.digest('hex')}`;
}
