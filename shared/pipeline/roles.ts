/** Roles and who of them does something: names that exist, labels to spread over, no circle of exceptions. */
import { compileExpression } from '../expressions/expression.ts';
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import { parseDuration } from './duration.ts';
import type { RoleFile } from './language.ts';
import { labelKeyPattern } from './language-primitives.ts';
import type { RoleDeclaration, Target } from './model.ts';
import type { Report } from './report.ts';
import type { Salvaged } from './salvage.ts';
import type { Path } from './source.ts';
import { isReservedName } from './words.ts';

export const asList = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : isList(value) ? value : [value];

const isList = <T>(value: T | readonly T[]): value is readonly T[] => Array.isArray(value);

/** The path of an entry of something that may be written as one value or as a list. */
export const entryPath = (path: Path, value: unknown, index: number): Path =>
  Array.isArray(value) ? [...path, index] : path;

export function readRole(
  name: string,
  { value: file, removed }: Salvaged<RoleFile>,
  names: ReadonlySet<string>,
  path: Path,
  report: Report,
): RoleDeclaration {
  if (isReservedName(name)) report.atKey(path, `"${name}" is reserved and cannot be the name of a role`);
  const { select = 'true', count, optional = false, prefer } = file;
  const except = asList(file.except);
  for (const [index, other] of except.entries()) {
    const at = entryPath([...path, 'except'], file.except, index);
    if (other === name) report.at(at, `role ${name} cannot except its own nodes`);
    else if (!names.has(other)) unknownRole(other, names, at, report);
  }
  const spread = file.spread === undefined ? undefined : labelOf(file.spread);
  if (file.spread !== undefined) {
    if (spread === undefined)
      report.at([...path, 'spread'], 'spread names a label', { expected: 'labels.KEY, such as labels.rack' });
    if (count === undefined && !removed.has('count'))
      report.atKey([...path, 'spread'], 'spread needs a count: without one all nodes are taken', {
        expected: 'count',
      });
  }
  const waitForMs = file.waitFor === undefined ? undefined : parseDuration(file.waitFor);
  return {
    name,
    select,
    except,
    optional,
    ...(count === undefined ? {} : { count }),
    ...(spread === undefined ? {} : { spread }),
    ...(waitForMs === undefined ? {} : { waitForMs }),
    ...(prefer === undefined ? {} : { prefer }),
  };
}

function unknownRole(name: string, names: ReadonlySet<string>, at: Path, report: Report): void {
  report.at(at, `there is no role "${name}"`, {
    nearest: nearestWord(name, names),
    expected: names.size === 0 ? undefined : oneOf([...names]),
  });
}

/** `labels.rack`, `labels["example.org/rack"]` or the key alone. */
function labelOf(text: string): string | undefined {
  if (!text.startsWith('labels')) return labelKeyPattern.test(text) ? text : undefined;
  const compiled = compileExpression(text);
  const [access, ...others] = compiled.ok ? compiled.expression.accesses : [];
  if (access === undefined || others.length > 0 || access.root !== 'labels' || access.end !== text.length)
    return undefined;
  const [step, ...further] = access.steps;
  return further.length === 0 ? step?.key : undefined;
}

/** Roles that except each other in a circle: none could be filled first. */
export function reportCircles(roles: ReadonlyMap<string, RoleDeclaration>, report: Report): void {
  const done = new Set<string>();
  const visit = (name: string, way: readonly string[]): void => {
    const at = way.indexOf(name);
    if (at !== -1) {
      const circle = [...way.slice(at), name];
      if (circle.length > 2)
        report.atKey(['roles', name], `roles except each other in a circle: ${circle.join(' → ')}`);
      return;
    }
    if (done.has(name)) return;
    for (const other of roles.get(name)?.except ?? []) visit(other, [...way, name]);
    done.add(name);
  };
  for (const name of roles.keys()) visit(name, []);
}

/** `member`, `member.leader`, `member.rest`; undefined when it was reported. */
export function readTarget(
  text: string,
  names: ReadonlySet<string>,
  at: Path,
  report: Report,
): Target | undefined {
  const [role = '', who, ...more] = text.split('.');
  if (!names.has(role)) {
    unknownRole(role, names, at, report);
    return undefined;
  }
  if (who === undefined) return { role, who: 'all' };
  if ((who !== 'leader' && who !== 'rest') || more.length > 0) {
    const after = [who, ...more].join('.');
    report.at(at, `role ${role} has no "${after}"`, {
      expected: `${role}, ${role}.leader or ${role}.rest`,
      nearest: nearestWord(after, ['leader', 'rest']),
    });
    return undefined;
  }
  return { role, who };
}
