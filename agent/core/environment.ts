/**
 * What a script finds in its environment. Nothing of the agent's own environment gets through: the base is
 * given, then come the values of the coordinator, of the attempt, and one PARAM_ variable per input. What
 * cannot stand in an environment (a NUL, or more than the kernel takes for one string) is only in the file
 * that LOCKSTEP_PARAMS names; that file has every input.
 */
import { limits } from '../../shared/limits.ts';

export type EnvironmentParts = {
  readonly base: Readonly<Record<string, string>>;
  readonly given: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, unknown>>;
  readonly node: string;
  readonly attempt: string;
  readonly paramsFile: string;
  readonly outputFile: string;
  readonly partsFile: string;
};

const encoder = new TextEncoder();

export function environmentOf(parts: EnvironmentParts): Readonly<Record<string, string>> {
  const environment: Record<string, string> = { ...parts.base, ...parts.given };
  for (const [name, value] of Object.entries(parts.params)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const variable = variableOf(name);
    if (fitsEnvironment(variable, text)) environment[variable] = text;
  }
  return {
    ...environment,
    LOCKSTEP_NODE: parts.node,
    LOCKSTEP_ATTEMPT: parts.attempt,
    LOCKSTEP_PARAMS: parts.paramsFile,
    LOCKSTEP_OUTPUT: parts.outputFile,
    LOCKSTEP_PARTS: parts.partsFile,
  };
}

const variableOf = (input: string): string => `PARAM_${input.toUpperCase()}`;

function fitsEnvironment(variable: string, text: string): boolean {
  if (text.includes('\0')) return false;
  // The kernel's bound per string covers the name, the `=` and the closing NUL.
  const room = limits.environmentStringBytesMax - variable.length - 2;
  return text.length <= room && (text.length * 3 <= room || encoder.encode(text).length <= room);
}

/** Two inputs that would share one variable, if any: names are told apart by case, variables are not. */
export function clashOf(inputs: Iterable<string>): readonly [string, string] | undefined {
  const seen = new Map<string, string>();
  for (const name of inputs) {
    const other = seen.get(variableOf(name));
    if (other !== undefined) return [other, name];
    seen.set(variableOf(name), name);
  }
  return undefined;
}
