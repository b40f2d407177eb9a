/** One value made of parts of several files, in which every part still knows where it was written. */
import type { Path, Source } from './source.ts';

/** What stands at `at` in the whole comes from `from` in `source`. */
export type Graft = { readonly at: Path; readonly source: Source; readonly from: Path };

/** What no graft covers is said to stand in `own`. */
export function compositeOf(value: unknown, own: Source, grafts: readonly Graft[]): Source {
  const closest = grafts.toSorted((a, b) => b.at.length - a.at.length);
  const origin = (path: Path): { readonly source: Source; readonly path: Path } => {
    const graft = closest.find(({ at }) => at.every((key, index) => key === path[index]));
    return graft === undefined
      ? { source: own, path }
      : { source: graft.source, path: [...graft.from, ...path.slice(graft.at.length)] };
  };
  const ask = <T>(path: Path, question: (source: Source, path: Path) => T): T => {
    const { source, path: there } = origin(path);
    return question(source, there);
  };
  return {
    value,
    fileOf: (path) => ask(path, (source, there) => source.fileOf(there)),
    at: (path) => ask(path, (source, there) => source.at(there)),
    atKey: (path) => ask(path, (source, there) => source.atKey(there)),
    within: (path, offset) => ask(path, (source, there) => source.within(there, offset)),
  };
}
