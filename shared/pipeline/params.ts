/** Declarations of params: what they allow, and whether a value that is known when the file is read fits. */
import { assertNever } from '../assert.ts';
import { matchGlob, parseGlob } from '../expressions/glob.ts';
import type { ParamFile } from './language.ts';
import type { ParamDeclaration, ParamType } from './model.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';
import { isReservedName } from './words.ts';

/** Why a value does not fit a declaration, or undefined. The value itself is not named: it may be secret. */
export function faultOfValue(
  declaration: Omit<ParamDeclaration, 'secret'>,
  value: unknown,
): { readonly message: string; readonly expected: string } | undefined {
  const { type, values, pattern, minimum, maximum } = declaration;
  if (!isOfType(type, value))
    return { message: 'the value is not of the declared type', expected: typeWords[type] };
  if (values !== undefined && !values.some((allowed) => JSON.stringify(allowed) === JSON.stringify(value))) {
    return {
      message: 'the value is not among those allowed',
      expected: `one of ${values.map((each) => JSON.stringify(each)).join(', ')}`,
    };
  }
  if (pattern !== undefined && typeof value === 'string' && !matchGlob(pattern, value)) {
    return { message: 'the value does not fit the pattern', expected: `text like ${pattern}` };
  }
  if (minimum !== undefined && typeof value === 'number' && value < minimum) {
    return { message: 'the value is too small', expected: `at least ${minimum}` };
  }
  if (maximum !== undefined && typeof value === 'number' && value > maximum) {
    return { message: 'the value is too large', expected: `at most ${maximum}` };
  }
  return undefined;
}

const typeWords: Readonly<Record<ParamType, string>> = {
  string: 'text (in quotes where YAML would see a number or a bool)',
  int: 'a whole number',
  double: 'a number',
  bool: 'true or false',
  json: 'any value',
};

function isOfType(type: ParamType, value: unknown): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'int':
      return typeof value === 'number' && Number.isSafeInteger(value);
    case 'double':
      return typeof value === 'number' && Number.isFinite(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'json':
      return value !== undefined;
    default:
      return assertNever(type);
  }
}

/** The declaration of one param; what is wrong with it is reported. */
export function readParam(name: string, file: ParamFile, path: Path, report: Report): ParamDeclaration {
  const declaration = declarationOf(file);
  const { type, pattern, minimum, maximum, values, generate, secret } = declaration;
  if (isReservedName(name)) report.atKey(path, `"${name}" is reserved and cannot be the name of a param`);
  if (pattern !== undefined) {
    const glob = parseGlob(pattern);
    if (type !== 'string')
      report.at([...path, 'pattern'], `a pattern is for text, but ${name} is of type ${type}`);
    else if (!glob.ok) report.at([...path, 'pattern'], glob.message);
  }
  for (const [key, bound] of [
    ['minimum', minimum],
    ['maximum', maximum],
  ] as const) {
    if (bound !== undefined && type !== 'int' && type !== 'double') {
      report.at([...path, key], `${key} is for numbers, but ${name} is of type ${type}`);
    }
  }
  if (minimum !== undefined && maximum !== undefined && minimum > maximum) {
    report.at([...path, 'maximum'], `no number is at least ${minimum} and at most ${maximum}`);
  }
  for (const [index, value] of (values ?? []).entries()) {
    const fault = faultOfValue({ type }, value);
    if (fault !== undefined) report.at([...path, 'values', index], fault.message, fault);
  }
  if (file.default !== undefined) {
    const fault = faultOfValue(declaration, file.default);
    if (fault !== undefined) report.at([...path, 'default'], fault.message, fault);
    if (secret) {
      report.warnKey([...path, 'default'], `the secret ${name} stands in this file in clear`, {
        expected: 'generate, or a value that is set for the cluster',
      });
    }
  }
  if (file.generate !== undefined) {
    if (generate === undefined) {
      report.at([...path, 'generate'], 'generate says one way to make a value', {
        expected: 'exactly one of hex, password, uuid',
      });
    }
    if (type !== 'string')
      report.at([...path, 'generate'], `generated values are text, but ${name} is of type ${type}`);
    if (file.default !== undefined) {
      report.atKey([...path, 'generate'], `with a default, a value for ${name} is never generated`, {
        expected: 'default or generate',
      });
    }
  }
  return declaration;
}

function declarationOf(file: ParamFile): ParamDeclaration {
  const { type = 'string', description, values, pattern, minimum, maximum, secret = false } = file;
  const generate = generateOf(file.generate);
  return {
    type,
    secret,
    ...(description === undefined ? {} : { description }),
    ...(file.default === undefined ? {} : { default: file.default }),
    ...(values === undefined ? {} : { values }),
    ...(pattern === undefined ? {} : { pattern }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
    ...(generate === undefined ? {} : { generate }),
  };
}

function generateOf(file: ParamFile['generate']): ParamDeclaration['generate'] {
  if (file === undefined || Object.keys(file).length !== 1) return undefined;
  if (file.hex !== undefined) return { hex: file.hex };
  if (file.password !== undefined) return { password: file.password };
  return { uuid: true };
}
