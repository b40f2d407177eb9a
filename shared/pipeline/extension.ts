/**
 * A pipeline that varies another one: what it inserts, replaces and removes, and what it says otherwise of params
 * and roles. What comes out is one value as if it had been written in one file, and every part of it knows its own.
 */
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import { compositeOf, type Graft } from './composite.ts';
import { isRecord, reportPlaced, type Standpoint } from './form.ts';
import type { Report } from './report.ts';
import { asList, entryPath } from './roles.ts';
import type { Path, Source } from './source.ts';

/** A step or group with where it was written. */
type Item = {
  readonly value: unknown;
  readonly source: Source;
  readonly path: Path;
  /** Of a group. */
  readonly members?: Item[];
};

/** `removed`: ids of steps that are not there any more, and who removed them, as `file:line`. */
export type Extended = { readonly source: Source; readonly removed: ReadonlyMap<string, string> };

/** `report` is for places of `own`. */
export function extend(base: Source, own: Source, report: Report): Extended {
  const sequence = new Sequence(base, own, report);
  const { value } = own;
  const file = isRecord(value) ? value : {};
  for (const [index, entry] of recordsOf(file.replace)) sequence.replace(entry, ['replace', index]);
  for (const [index, entry] of recordsOf(file.insert)) sequence.insert(entry, ['insert', index]);
  for (const [index, name] of (Array.isArray(file.remove) ? file.remove : []).entries())
    if (typeof name === 'string') sequence.remove(name, ['remove', index]);
  sequence.reportLosses();
  return { source: sequence.compose(), removed: sequence.removedBy() };
}

const recordsOf = (list: unknown): (readonly [number, Readonly<Record<string, unknown>>])[] =>
  [...(Array.isArray(list) ? list : []).entries()].filter(([, entry]) => isRecord(entry));

const idOf = ({ value }: Item): string | undefined =>
  isRecord(value) && typeof value.id === 'string' ? value.id : undefined;

type Found = {
  readonly list: Item[];
  readonly index: number;
  readonly item: Item;
  readonly standpoint: Standpoint;
  readonly group?: Item;
};

class Sequence {
  readonly #base: Source;
  readonly #own: Source;
  readonly #report: Report;
  readonly #steps: Item[];
  readonly #finally: Item[];
  readonly #removed = new Map<string, Path>();
  readonly #replaced = new Set<string>();
  readonly #inserted = new Set<string>();
  /** Of each step, what was last put behind it: what is written first comes first. */
  readonly #behind = new Map<string, string>();

  constructor(base: Source, own: Source, report: Report) {
    this.#base = base;
    this.#own = own;
    this.#report = report;
    this.#steps = itemsOf(base, ['steps']);
    this.#finally = itemsOf(base, ['finally']);
  }

  get #lists(): readonly Omit<Found, 'index' | 'item'>[] {
    return [
      { list: this.#steps, standpoint: 'unit' },
      ...this.#steps.flatMap((group) =>
        group.members === undefined ? [] : [{ list: group.members, standpoint: 'member' as const, group }],
      ),
      { list: this.#finally, standpoint: 'finally' },
    ];
  }

  #ids(): string[] {
    return this.#lists.flatMap(({ list }) => list.flatMap((item) => idOf(item) ?? []));
  }

  #find(id: string): Found | undefined {
    for (const place of this.#lists) {
      const index = place.list.findIndex((item) => idOf(item) === id);
      const item = place.list[index];
      if (item !== undefined) return { ...place, index, item };
    }
    return undefined;
  }

  #look(id: string, path: Path): Found | undefined {
    const found = this.#find(id);
    if (found !== undefined) return found;
    const ids = this.#ids();
    this.#report.at(path, `${this.#base.fileOf([])} has no step "${id}"`, {
      nearest: nearestWord(id, ids),
      expected: oneOf(ids),
    });
    return undefined;
  }

  replace({ step, with: value }: Readonly<Record<string, unknown>>, path: Path): void {
    if (typeof step !== 'string' || !isRecord(value)) return;
    const found = this.#look(step, [...path, 'step']);
    if (found === undefined) return;
    if (this.#replaced.has(step)) this.#report.at([...path, 'step'], `"${step}" is replaced twice`);
    this.#replaced.add(step);
    if ('id' in value && value.id !== step) {
      this.#report.at([...path, 'with', 'id'], `what replaces ${step} goes by the same id`, {
        expected: `"${step}", or no id`,
      });
    }
    const whole = { ...value, id: step };
    const at = [...path, 'with'];
    reportPlaced(whole, found.standpoint, at, this.#own, this.#report);
    found.list[found.index] = itemOf(whole, this.#own, at);
  }

  insert(entry: Readonly<Record<string, unknown>>, path: Path): void {
    const { before, after, steps } = entry;
    if ((before === undefined) === (after === undefined)) {
      this.#report.at(path, 'an insertion says once where it belongs', { expected: 'before or after' });
      return;
    }
    const [side, anchor] = before === undefined ? (['after', after] as const) : (['before', before] as const);
    if (typeof anchor !== 'string' || !Array.isArray(steps)) return;
    const found = this.#look(anchor, [...path, side]);
    if (found === undefined) return;
    const items = steps.flatMap((value, index): Item[] => {
      const at = [...path, 'steps', index];
      reportPlaced(value, found.standpoint, at, this.#own, this.#report);
      return this.#isNew(value, at) ? [itemOf(value, this.#own, at)] : [];
    });
    const behind = side === 'after' ? this.#find(this.#behind.get(anchor) ?? anchor) : undefined;
    found.list.splice(behind === undefined ? found.index : behind.index + 1, 0, ...items);
    for (const item of items) {
      const id = idOf(item);
      if (id === undefined) continue;
      this.#inserted.add(id);
      if (side === 'after') this.#behind.set(anchor, id);
    }
    this.#warnOfOwnNeeds(found, side, items, path);
  }

  /** Ids of the other file stand: what is inserted must have its own. */
  #isNew(value: unknown, path: Path): boolean {
    const item = itemOf(value, this.#own, path);
    const ids = new Set(this.#ids());
    let fresh = true;
    for (const each of [item, ...(item.members ?? [])]) {
      const id = idOf(each);
      if (id === undefined || !ids.has(id)) continue;
      fresh = false;
      this.#report.at([...each.path, 'id'], `there is a step "${id}" already`, {
        expected: `another id, or replace: [{ step: ${id}, … }]`,
      });
    }
    return fresh;
  }

  /** A step that says itself what it needs does not wait for what comes to stand before it. */
  #warnOfOwnNeeds({ item, standpoint }: Found, side: string, items: readonly Item[], path: Path): void {
    if (side !== 'before' || standpoint === 'member') return;
    if (!isRecord(item.value) || item.value.needs === undefined) return;
    const ids = items.flatMap((each) => idOf(each) ?? []);
    this.#report.warn(
      [...path, side],
      `${String(item.value.id)} says itself what it needs, and does not wait for ${ids.join(', ')}`,
      { expected: `a replacement of ${String(item.value.id)} that needs it, or after: what it needs` },
    );
  }

  remove(name: string, path: Path): void {
    if (this.#removed.has(name)) {
      this.#report.at(path, `"${name}" is removed already`);
      return;
    }
    const found = this.#look(name, path);
    if (found === undefined) return;
    const ids = [found.item, ...(found.item.members ?? [])].flatMap((item) => idOf(item) ?? []);
    for (const id of ids) {
      if (this.#replaced.has(id) || this.#inserted.has(id))
        this.#report.at(
          path,
          `this file both ${this.#inserted.has(id) ? 'inserts' : 'replaces'} and removes "${id}"`,
        );
      this.#removed.set(id, path);
    }
    if (found.item.members !== undefined) this.#removed.set(`${name}.verify`, path);
    found.list.splice(found.index, 1);
    const { group } = found;
    if (group !== undefined && found.list.length === 0) {
      const id = idOf(group) ?? 'the group';
      this.#report.at(path, `nothing is left of group ${id}`, { expected: `"${id}" removed as a whole` });
    }
    if (this.#steps.length === 0) this.#report.at(path, 'no step is left');
  }

  /** Steps that still need one that was removed: told where it is removed, as the other file is right by itself. */
  reportLosses(): void {
    for (const item of this.#lists.flatMap(({ list }) => list)) {
      const needs = isRecord(item.value) ? item.value.needs : undefined;
      for (const [index, need] of asList<unknown>(needs).entries()) {
        const name = isRecord(need) ? need.step : need;
        const removal = typeof name === 'string' ? this.#removed.get(name) : undefined;
        if (removal === undefined) continue;
        const { file, line } = item.source.at(entryPath([...item.path, 'needs'], needs, index));
        const id = idOf(item) ?? 'a step';
        this.#report.at(removal, `"${String(name)}" is removed, but ${id} needs it (${file}:${line})`, {
          expected: `${id} replaced by a step that does not, or removed too`,
        });
      }
    }
  }

  removedBy(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#removed].map(([id, path]) => {
        const { file, line } = this.#own.at(path);
        return [id, `${file}:${line}`];
      }),
    );
  }

  compose(): Source {
    const value = isRecord(this.#own.value) ? this.#own.value : {};
    const base = isRecord(this.#base.value) ? this.#base.value : {};
    const whole: Record<string, unknown> = { kind: value.kind };
    const grafts: Graft[] = [];
    for (const key of ['name', 'title', 'description', 'concurrency', 'window']) {
      const from = key in value ? value : base;
      if (!(key in from)) continue;
      whole[key] = from[key];
      if (from === base) grafts.push({ at: [key], source: this.#base, from: [key] });
    }
    for (const key of ['params', 'roles'] as const) {
      const merged = mergeNamed(base[key], value[key], [key], this.#base, grafts);
      if (key === 'roles' || Object.keys(merged).length > 0) whole[key] = merged;
      if (!(key in value)) grafts.push({ at: [key], source: this.#base, from: [key] });
    }
    for (const [key, items] of [
      ['steps', this.#steps],
      ['finally', this.#finally],
    ] as const) {
      if (key === 'steps' || items.length > 0) whole[key] = items.map(wholeOf);
      grafts.push({ at: [key], source: this.#base, from: [key] });
      for (const [index, item] of items.entries()) graftItem(item, [key, index], grafts);
    }
    return compositeOf(whole, this.#own, grafts);
  }
}

function itemOf(value: unknown, source: Source, path: Path): Item {
  const group = isRecord(value) && Array.isArray(value.group) ? value.group : undefined;
  if (group === undefined) return { value, source, path };
  const members = group.map((member, index) => itemOf(member, source, [...path, 'group', index]));
  return { value, source, path, members };
}

const itemsOf = (source: Source, path: Path): Item[] => {
  const list = isRecord(source.value) ? source.value[String(path[0])] : undefined;
  return (Array.isArray(list) ? list : []).map((value, index) => itemOf(value, source, [...path, index]));
};

const wholeOf = ({ value, members }: Item): unknown =>
  members === undefined || !isRecord(value) ? value : { ...value, group: members.map(wholeOf) };

function graftItem({ source, path, members }: Item, at: Path, grafts: Graft[]): void {
  grafts.push({ at, source, from: path });
  for (const [index, member] of (members ?? []).entries()) graftItem(member, [...at, 'group', index], grafts);
}

/** What one of them says, the other cannot also mean. */
const exclusive: Readonly<Record<string, string>> = { default: 'generate', generate: 'default' };

/** Declarations by name: those of both, and of a name that both have the keys of both, the own ones first. */
function mergeNamed(
  base: unknown,
  own: unknown,
  path: Path,
  source: Source,
  grafts: Graft[],
): Readonly<Record<string, unknown>> {
  const merged: Record<string, unknown> = { ...(isRecord(base) ? base : {}) };
  const mine = isRecord(own) ? own : {};
  for (const name of Object.keys(merged))
    if (!Object.hasOwn(mine, name)) grafts.push({ at: [...path, name], source, from: [...path, name] });
  for (const [name, declared] of Object.entries(mine)) {
    const other = Object.hasOwn(merged, name) ? merged[name] : undefined;
    merged[name] = declared;
    if (!isRecord(other) || !isRecord(declared)) continue;
    const kept = Object.entries(other).filter(
      ([key]) => !Object.hasOwn(declared, key) && !Object.hasOwn(declared, exclusive[key] ?? key),
    );
    for (const [key] of kept) grafts.push({ at: [...path, name, key], source, from: [...path, name, key] });
    merged[name] = { ...Object.fromEntries(kept), ...declared };
  }
  return merged;
}
