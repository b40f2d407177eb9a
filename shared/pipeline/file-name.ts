/** How one file names another: by a path that begins in its own folder. Lexical, so that it is the same everywhere. */

/** Undefined: not a path that leads from a folder to a YAML file. */
export function nameFrom(file: string, reference: string): string | undefined {
  if (!/^\.{1,2}\/.*[^/]$/.test(reference) || reference.includes('\\') || reference.includes('\0'))
    return undefined;
  const parts = file.split('/').slice(0, -1);
  for (const part of reference.split('/')) {
    if (part === '.' || part === '') continue;
    const last = parts.at(-1);
    if (part !== '..' || last === undefined || last === '..') parts.push(part);
    else if (last === '') return undefined;
    else if (last === '.') parts.splice(-1, 1, '..');
    else parts.pop();
  }
  return parts.join('/');
}
