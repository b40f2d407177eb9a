/**
 * From the command line and the environment to what the agent runs with. Wrong use is a `usage` error whose
 * message says what to give instead. Nothing is started here, so that tests can start the real program.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { LockstepError, messageOf } from '../shared/errors.ts';
import { nodeNamePattern } from '../shared/ids.ts';
import { limits } from '../shared/limits.ts';
import { type CoordinatorAddresses, parseCoordinatorAddress } from './link/addresses.ts';
import { type Proxies, readProxies } from './link/proxies.ts';
import { type RebootCommand, rebootCommandOf } from './run/reboot.ts';

export type AgentConfig = {
  readonly coordinators: CoordinatorAddresses;
  readonly token: string;
  /** Where the token came from, for the message when it is refused. */
  readonly tokenSource: string;
  readonly stateFolder: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ephemeral: boolean;
  readonly proxies: Proxies;
  /** Bytes per second that may be sent; null for as many as the link takes. */
  readonly uplink: number | null;
  readonly rebootCommand: RebootCommand;
};

/** As the command line gives them. */
export type RunOptions = {
  readonly coordinator: string;
  readonly state: string;
  readonly name?: string;
  readonly label?: readonly string[];
  readonly token?: string;
  readonly tokenFile?: string;
  readonly ephemeral?: boolean;
  readonly uplink?: string;
  readonly rebootCommand?: string;
};

export function configure(options: RunOptions, environment: NodeJS.ProcessEnv): AgentConfig {
  return {
    coordinators: readCoordinators(options.coordinator),
    ...readToken(options, environment),
    stateFolder: path.resolve(options.state),
    name: readName(options.name),
    labels: readLabels(options.label ?? []),
    ephemeral: options.ephemeral ?? false,
    proxies: readProxies(environment),
    uplink: readUplink(options, environment),
    rebootCommand: rebootCommandOf(options.rebootCommand ?? environment.LOCKSTEP_REBOOT_COMMAND),
  };
}

function readCoordinators(text: string): AgentConfig['coordinators'] {
  const [first = '', ...others] = text.split(',').map((part) => part.trim());
  return [parseCoordinatorAddress(first), ...others.map(parseCoordinatorAddress)];
}

function readUplink(options: RunOptions, { LOCKSTEP_UPLINK }: NodeJS.ProcessEnv): number | null {
  const source = options.uplink === undefined ? 'LOCKSTEP_UPLINK' : '--uplink';
  const text = options.uplink ?? LOCKSTEP_UPLINK ?? '';
  if (text === '') return null;
  const [, digits = '', unit = ''] = /^([1-9][0-9]{0,8})([kKmM]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * (unit === '' ? 1 : unit.toLowerCase() === 'k' ? 1_024 : 1_024 ** 2);
  if (bytes >= limits.uplinkBytesPerSecondMin) return bytes;
  throw new LockstepError(
    'usage',
    `${source} "${text}" is no budget: give bytes per second, at least ${limits.uplinkBytesPerSecondMin}, such as 64k or 2M`,
  );
}

function readToken(options: RunOptions, environment: NodeJS.ProcessEnv) {
  const { LOCKSTEP_TOKEN } = environment;
  if (options.token !== undefined) return checkedToken(options.token, '--token');
  if (options.tokenFile !== undefined) {
    return checkedToken(readTokenFile(options.tokenFile), `the file ${options.tokenFile}`);
  }
  if (LOCKSTEP_TOKEN !== undefined) return checkedToken(LOCKSTEP_TOKEN, 'LOCKSTEP_TOKEN');
  throw new LockstepError(
    'usage',
    'no token to join with: set LOCKSTEP_TOKEN or give --token-file FILE; `lockstep token create` on the coordinator makes one',
  );
}

function readTokenFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new LockstepError('usage', `cannot read the token: ${messageOf(error)}`, { cause: error });
  }
}

function checkedToken(text: string, source: string): Pick<AgentConfig, 'token' | 'tokenSource'> {
  const token = text.trim();
  // What cannot stand in an HTTP header was not made by a coordinator; a file of another kind, perhaps.
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new LockstepError(
      'usage',
      `${source} holds no token: expected one word as \`lockstep token create\` prints it`,
    );
  }
  return { token, tokenSource: source };
}

function readName(given: string | undefined): string {
  const name = given ?? hostname().toLowerCase();
  if (nodeNamePattern.test(name)) return name;
  const what = given === undefined ? `the hostname "${name}"` : `"${name}"`;
  throw new LockstepError(
    'usage',
    `${what} cannot be a node name: use small letters, digits, "-" and "." (at most 63, beginning and ending with a letter or digit); give one with --name`,
  );
}

function readLabels(given: readonly string[]): Readonly<Record<string, string>> {
  if (given.length > limits.agentLabelsMax)
    throw new LockstepError('usage', `at most ${limits.agentLabelsMax} labels are possible`);
  const labels = given.map((text): [string, string] => {
    const [, key, value] = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,252})=(.{0,253})$/s.exec(text) ?? [];
    if (key !== undefined && value !== undefined) return [key, value];
    throw new LockstepError('usage', `"${text}" is not a label: give KEY=VALUE, such as --label rack=r1`);
  });
  return Object.fromEntries(labels);
}
