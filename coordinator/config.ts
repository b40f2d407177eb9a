/**
 * What the coordinator can be told, from flags and environment to one value that is checked. Starting is
 * elsewhere, so that a test can start the real program with a value of its own.
 */
import path from 'node:path';
import { LockstepError } from '../shared/errors.ts';
import { limits } from '../shared/limits.ts';
import { parseDuration } from '../shared/pipeline/duration.ts';
import { defaultDataFolder } from './cli/connection.ts';

export type Retention = {
  readonly eventsMs: number;
  readonly eventsBytes: number;
  readonly auditMs: number;
  readonly logsMs: number;
  readonly logsBytes: number;
  /** Ended runs that are kept whole; older ones are archived. */
  readonly runs: number;
};

export type CoordinatorConfig = {
  readonly dataFolder: string;
  readonly keyFile: string;
  readonly host: string;
  readonly port: number;
  readonly retention: Retention;
  /** Where the programs are that receivers of notifications may name. */
  readonly programsFolder: string;
  readonly sendmail: string;
};

/** As commander gives them, each by the name of its flag. */
export type CoordinatorFlags = {
  readonly data?: string;
  readonly key?: string;
  readonly listen?: string;
  readonly keepEvents?: string;
  readonly keepEventBytes?: string;
  readonly keepAudit?: string;
  readonly keepLogs?: string;
  readonly keepLogBytes?: string;
  readonly keepRuns?: string;
  readonly programs?: string;
  readonly sendmail?: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

const defaultPort = 7400;
const defaultSendmail = '/usr/sbin/sendmail';

/** Throws `usage`, naming the flag, for a value that cannot be used. */
export function readConfig(flags: CoordinatorFlags, environment: Environment): CoordinatorConfig {
  const dataFolder = path.resolve(flags.data || environment.LOCKSTEP_DATA || defaultDataFolder(environment));
  return {
    dataFolder,
    keyFile: path.resolve(flags.key ?? `${dataFolder}.key`),
    programsFolder: path.resolve(flags.programs ?? `${dataFolder}.programs`),
    sendmail: path.resolve(flags.sendmail ?? defaultSendmail),
    ...readAddress(flags.listen ?? `127.0.0.1:${defaultPort}`),
    retention: {
      eventsMs: readDuration('--keep-events', flags.keepEvents, limits.journalKeptMs),
      eventsBytes: readSize('--keep-event-bytes', flags.keepEventBytes, limits.journalKeptBytesMax),
      auditMs: readDuration('--keep-audit', flags.keepAudit, limits.auditKeptMs),
      logsMs: readDuration('--keep-logs', flags.keepLogs, limits.logKeptMs),
      logsBytes: readSize('--keep-log-bytes', flags.keepLogBytes, limits.logKeptBytesMax),
      runs: readNumber('--keep-runs', flags.keepRuns, limits.runsKeptMax),
    },
  };
}

/** `HOST:PORT`, `[::1]:PORT`, `:PORT` for every address of this machine, or a host or port alone. */
function readAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const alone = plain !== undefined && digits === undefined && /^\d{1,5}$/.test(plain);
  const port = alone ? Number(plain) : digits === undefined ? defaultPort : Number(digits);
  const host = alone ? '127.0.0.1' : (bracketed ?? plain);
  if (host === undefined || port > 65_535 || (host === '' && digits === undefined))
    throw new LockstepError(
      'usage',
      `--listen ${text}: give HOST:PORT, such as 0.0.0.0:${defaultPort} or [::]:${defaultPort}`,
    );
  return { host: host === '' ? '::' : host, port };
}

function readDuration(flag: string, text: string | undefined, preset: number): number {
  if (text === undefined) return preset;
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0)
    throw new LockstepError('usage', `${flag} ${text}: give a duration such as 12h or 30d`);
  return ms;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

function readSize(flag: string, text: string | undefined, preset: number): number {
  if (text === undefined) return preset;
  const [, digits = '', unit = ''] = /^([1-9]\d{0,14})\s*([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (units[unit.toLowerCase()] ?? 0);
  if (!Number.isSafeInteger(bytes) || bytes === 0)
    throw new LockstepError('usage', `${flag} ${text}: give a size such as 500MiB or 4GiB`);
  return bytes;
}

function readNumber(flag: string, text: string | undefined, preset: number): number {
  if (text === undefined) return preset;
  if (!/^\d{1,6}$/.test(text)) throw new LockstepError('usage', `${flag} ${text}: give a whole number`);
  return Number(text);
}
