/**
 * Where the coordinator is and how to speak to it: on its own machine without configuration, from the file
 * that it leaves in its data folder; elsewhere from a URL and a token. What was named most directly wins.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LockstepError } from '../../shared/errors.ts';
import { operatorFile } from '../http/resources.ts';

export type ConnectionOptions = { readonly url?: string | undefined; readonly data?: string | undefined };

export type Environment = Readonly<Record<string, string | undefined>>;

export type Connection = {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string;
  /** What named it, for messages: `--url`, `LOCKSTEP_URL`, or the file in the data folder. */
  readonly source: string;
  /** What to do when nobody answers there. */
  readonly remedy: string;
};

export function defaultDataFolder(environment: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/lockstep';
  return join(environment.XDG_STATE_HOME || join(homedir(), '.local/state'), 'lockstep');
}

const elsewhere =
  'for a coordinator on another machine set LOCKSTEP_URL and LOCKSTEP_API_TOKEN (`lockstep token create --kind operator` there makes one)';

function findByUrl(url: string, source: string, environment: Environment): Connection {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new LockstepError('usage', `${source} is "${url}", which is not a URL like http://host:7400`, {
      cause,
    });
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw new LockstepError('usage', `${source} is "${url}": the command line speaks http and https only`);
  const token = environment.LOCKSTEP_API_TOKEN;
  if (token === undefined || token === '')
    throw new LockstepError(
      'usage',
      `${source} names ${url}, but LOCKSTEP_API_TOKEN is not set.\n  Make a token on the coordinator's machine with \`lockstep token create --kind operator\` and export it`,
    );
  return {
    url: parsed.href.replace(/\/+$/, ''),
    token,
    source,
    remedy:
      'Check that address, and that the coordinator runs and listens beyond its own machine (`--listen`)',
  };
}

function findByData(folder: string, namedBy: string): Connection {
  const path = join(folder, 'operator.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const denied = cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
    throw new LockstepError(
      'unreachable',
      denied
        ? `cannot read ${path} (${namedBy}): it belongs to the user who runs the coordinator.\n  Work as that user, or ${elsewhere}`
        : `found no coordinator on this machine: ${path} does not exist (${namedBy}).\n  Start one with \`lockstep coordinator\`, name its data folder with --data DIR or LOCKSTEP_DATA,\n  or ${elsewhere}`,
      { cause },
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const content = operatorFile.safeParse(json);
  if (!content.success)
    throw new LockstepError(
      'unreachable',
      `${path} does not hold the address and token of a coordinator: start the coordinator again, which writes it anew`,
    );
  return {
    url: content.data.url.replace(/\/+$/, ''),
    token: content.data.token,
    source: path,
    remedy: `The coordinator that wrote that file may have stopped: start it again with \`lockstep coordinator --data ${folder}\`, and with --listen when it had one`,
  };
}

/** Throws LockstepError with code `usage` or `unreachable` when nothing usable is named. */
export function findCoordinator(options: ConnectionOptions, environment: Environment): Connection {
  if (options.url !== undefined) return findByUrl(options.url, '--url', environment);
  if (options.data !== undefined) return findByData(options.data, 'named by --data');
  if (environment.LOCKSTEP_URL) return findByUrl(environment.LOCKSTEP_URL, 'LOCKSTEP_URL', environment);
  if (environment.LOCKSTEP_DATA) return findByData(environment.LOCKSTEP_DATA, 'named by LOCKSTEP_DATA');
  return findByData(defaultDataFolder(environment), 'the default data folder');
}
