/** One fault in a file that an operator wrote: where it is, what was found, what was expected. */

export type Diagnostic = {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  /** Both start at 1, as editors count. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What would have been right, in words; and the nearest valid word, if one is near. */
  readonly expected?: string | undefined;
  readonly nearest?: string | undefined;
};

/** `file:line:column: message (expected …; did you mean "…"?)`, which terminals and editors can jump to. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message, expected, nearest } = diagnostic;
  const hints = [
    expected === undefined ? undefined : `expected ${expected}`,
    nearest === undefined ? undefined : `did you mean "${nearest}"?`,
  ].filter((hint) => hint !== undefined);
  const tail = hints.length > 0 ? ` (${hints.join('; ')})` : '';
  return `${file}:${line}:${column}: ${severity}: ${message}${tail}`;
}
