/** What a pipeline does differently from the one that it extends, step by step, for people to look at. */
import { isRecord } from './form.ts';
import type { Path, Source } from './source.ts';

/** A key with its value there and here; undefined: it is not there. */
export type ChangedKey = { readonly key: string; readonly from?: unknown; readonly to?: unknown };

export type ChangedDeclaration = {
  readonly name: string;
  readonly change: 'added' | 'changed';
  /** `file:line` of what makes the difference. */
  readonly place: string;
  readonly keys: readonly ChangedKey[];
};

export type ComparedStep = {
  readonly step: string;
  readonly group: string | null;
  readonly finally: boolean;
  readonly change: 'same' | 'inserted' | 'replaced' | 'removed';
  readonly place: string;
  readonly keys: readonly ChangedKey[];
};

export type Variation = {
  /** The file that is extended. */
  readonly extends: string;
  readonly params: readonly ChangedDeclaration[];
  readonly roles: readonly ChangedDeclaration[];
  /** In order; what was removed stands where it was. */
  readonly steps: readonly ComparedStep[];
};

/** `removed`: where steps were removed, by id, as `file:line`. */
export function variationOf(base: Source, own: Source, removed: ReadonlyMap<string, string>): Variation {
  return {
    extends: base.fileOf([]),
    params: declarations(base, own, 'params'),
    roles: declarations(base, own, 'roles'),
    steps: stepsOf(base, own, removed),
  };
}

const placeOf = (source: Source, path: Path): string => {
  const { file, line } = source.at(path);
  return `${file}:${line}`;
};

const sectionOf = ({ value }: Source, key: string): unknown => (isRecord(value) ? value[key] : undefined);

function declarations(base: Source, own: Source, key: 'params' | 'roles'): readonly ChangedDeclaration[] {
  const before = sectionOf(base, key);
  const after = sectionOf(own, key);
  return Object.entries(isRecord(after) ? after : {}).flatMap(([name, declared]) => {
    const other = isRecord(before) && Object.hasOwn(before, name) ? before[name] : undefined;
    const keys = changedKeys(other, declared, []);
    if (keys.length === 0) return [];
    const change = other === undefined ? ('added' as const) : ('changed' as const);
    const [first] = keys;
    const inside = change === 'changed' && first?.to !== undefined ? [first.key] : [];
    return [{ name, change, place: placeOf(own, [key, name, ...inside]), keys }];
  });
}

type Entry = {
  readonly id: string;
  readonly group: string | null;
  readonly finally: boolean;
  readonly value: Readonly<Record<string, unknown>>;
  readonly path: Path;
};

/** Steps and groups, each group before its steps. */
function entriesOf(source: Source): readonly Entry[] {
  const read = (list: unknown, path: Path, group: string | null): Entry[] =>
    (Array.isArray(list) ? list : []).flatMap((value: unknown, index) => {
      if (!isRecord(value) || typeof value.id !== 'string') return [];
      const at = [...path, index];
      const entry = { id: value.id, group, finally: path[0] === 'finally', value, path: at };
      return [entry, ...read(value.group, [...at, 'group'], value.id)];
    });
  return ['steps', 'finally'].flatMap((key) => read(sectionOf(source, key), [key], null));
}

function stepsOf(base: Source, own: Source, removed: ReadonlyMap<string, string>): readonly ComparedStep[] {
  const before = entriesOf(base);
  const after = new Set(entriesOf(own).map(({ id }) => id));
  const compared: ComparedStep[] = [];
  let next = 0;
  const passRemoved = (until: string | undefined): void => {
    const end = until === undefined ? before.length : before.findIndex(({ id }) => id === until) + 1;
    for (; next < end; next++) {
      const entry = before[next];
      if (entry === undefined || after.has(entry.id)) continue;
      const { id, group, path } = entry;
      const place = removed.get(id) ?? placeOf(base, path);
      compared.push({ step: id, group, finally: entry.finally, change: 'removed', place, keys: [] });
    }
  };
  for (const entry of entriesOf(own)) {
    const other = before.find(({ id }) => id === entry.id);
    if (other !== undefined) passRemoved(entry.id);
    const keys = other === undefined ? [] : changedKeys(other.value, entry.value, ['group']);
    const change = other === undefined ? 'inserted' : keys.length > 0 ? 'replaced' : 'same';
    const { id, group, path } = entry;
    const place = placeOf(own, path);
    compared.push({ step: id, group, finally: entry.finally, change, place, keys });
  }
  passRemoved(undefined);
  return compared;
}

function changedKeys(from: unknown, to: unknown, except: readonly string[]): readonly ChangedKey[] {
  const before = isRecord(from) ? from : {};
  const after = isRecord(to) ? to : {};
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const [a, b] = [before, after].map((map) => (Object.hasOwn(map, key) ? map[key] : undefined));
    if (except.includes(key) || JSON.stringify(a) === JSON.stringify(b)) return [];
    return [{ key, ...(a === undefined ? {} : { from: a }), ...(b === undefined ? {} : { to: b }) }];
  });
}
