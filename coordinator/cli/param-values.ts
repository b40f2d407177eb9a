/**
 * The params that a run is given: from the command line, files, the environment, and for secrets from
 * somebody at the terminal. Types are judged by the coordinator, which knows what else gives values.
 */
import { readFileSync } from 'node:fs';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { identifierPattern } from '../../shared/ids.ts';
import type { ParamDeclaration } from '../../shared/pipeline/model.ts';
import { readSource } from '../../shared/pipeline/source.ts';
import type { Environment } from './connection.ts';

export type ParamOptions = { readonly param?: readonly string[]; readonly paramFile?: readonly string[] };

type Declarations = Readonly<Record<string, ParamDeclaration>>;
type Values = Record<string, unknown>;

const environmentName = (param: string): string => `LOCKSTEP_PARAM_${param}`;

function readWords(words: readonly string[]): Values {
  const values: Values = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1) throw new LockstepError('usage', `--param ${word}: write it as NAME=VALUE`);
    const name = word.slice(0, equals);
    if (!identifierPattern.test(name))
      throw new LockstepError('usage', `--param ${word}: "${name}" cannot be the name of a param`);
    values[name] = word.slice(equals + 1);
  }
  return values;
}

function readFile(path: string): Values {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LockstepError('usage', `cannot read the params in ${path}: ${messageOf(cause)}`, { cause });
  }
  const read = readSource(path, text);
  if (!read.ok)
    throw new LockstepError('invalid', `${path} cannot be read`, { diagnostics: read.diagnostics });
  const { value } = read.source;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new LockstepError('invalid', `${path} must hold a map of params: NAME: VALUE`);
  return { ...value };
}

/** `LOCKSTEP_PARAM_token` or `LOCKSTEP_PARAM_TOKEN`, for params that the pipeline declares. */
function readEnvironment(declared: Declarations, environment: Environment): Values {
  const values: Values = {};
  for (const name of Object.keys(declared)) {
    const value = environment[environmentName(name)] ?? environment[environmentName(name.toUpperCase())];
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** What was given without asking: the command line over files, later files over earlier, files over the environment. */
export function readParams(options: ParamOptions, declared: Declarations, environment: Environment): Values {
  const files = (options.paramFile ?? []).map(readFile);
  return Object.assign({}, readEnvironment(declared, environment), ...files, readWords(options.param ?? []));
}

/** Secret params that have no value yet and get none by themselves: the ones to ask for. */
export function secretsToAsk(declared: Declarations, given: Values, kept: ReadonlySet<string>): string[] {
  return Object.entries(declared)
    .filter(
      ([name, { secret, generate, ...rest }]) =>
        secret && generate === undefined && !('default' in rest) && !(name in given) && !kept.has(name),
    )
    .map(([name]) => name);
}
