/** Files and folders beside a pipeline that a runner names. */
import type { Report } from '../report.ts';
import { cleanPath, type FileSet, type FileStat, isInside } from '../scripts.ts';
import type { Path } from '../source.ts';

export type Folder = { readonly path: string; readonly files: Readonly<Record<string, FileStat>> };

/** The folder, or undefined when there is none and that was said. */
export function folderOf(
  text: string,
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Folder | undefined {
  const clean = cleanPath(text);
  if (!isInside(clean)) {
    report.at(path, `"${text}" is not a folder beside this file`, {
      expected: 'a path inside the folder of this file',
    });
    return undefined;
  }
  const entry = beside?.find(clean);
  if (entry?.kind === 'folder') return { path: clean, files: entry.files };
  const what =
    entry === undefined ? `there is no folder "${clean}" beside this file` : `"${clean}" is a file`;
  report.at(path, what, { expected: 'a folder' });
  return undefined;
}
