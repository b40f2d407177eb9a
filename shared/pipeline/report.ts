/**
 * Collects everything that is wrong with a file and with those that it is made of, at its place, and hands it out in
 * the order of the texts.
 */
import type { Diagnostic } from '../diagnostic.ts';
import type { Fault } from '../expressions/expression.ts';
import { limits } from '../limits.ts';
import type { Path, Position, Source } from './source.ts';

export type Hints = { readonly expected?: string | undefined; readonly nearest?: string | undefined };

export class Report {
  readonly #diagnostics: Diagnostic[];
  readonly #source: Source;

  constructor(source: Source, diagnostics: Diagnostic[] = []) {
    this.#source = source;
    this.#diagnostics = diagnostics;
  }

  /** The same report for places of another source. */
  of(source: Source): Report {
    return new Report(source, this.#diagnostics);
  }

  /** What was found before there was a source. */
  add(diagnostics: readonly Diagnostic[]): void {
    this.#diagnostics.push(...diagnostics);
  }

  #add(
    severity: Diagnostic['severity'],
    { file, line, column }: Position,
    message: string,
    hints: Hints,
  ): void {
    const { nearest } = hints;
    const expected = hints.expected === `"${nearest}"` ? undefined : hints.expected;
    this.#diagnostics.push({
      severity,
      file,
      line,
      column,
      message,
      ...(expected === undefined ? {} : { expected }),
      ...(nearest === undefined ? {} : { nearest }),
    });
  }

  at(path: Path, message: string, hints: Hints = {}): void {
    this.#add('error', this.#source.at(path), message, hints);
  }

  atKey(path: Path, message: string, hints: Hints = {}): void {
    this.#add('error', this.#source.atKey(path), message, hints);
  }

  warn(path: Path, message: string, hints: Hints = {}): void {
    this.#add('warning', this.#source.at(path), message, hints);
  }

  warnKey(path: Path, message: string, hints: Hints = {}): void {
    this.#add('warning', this.#source.atKey(path), message, hints);
  }

  /** At character `offset` of the text at `path`. */
  warnText(path: Path, offset: number, message: string, hints: Hints = {}): void {
    this.#add('warning', this.#source.within(path, offset), message, hints);
  }

  /** In an expression that begins at character `from` of the text at `path`. */
  fault(path: Path, fault: Fault, from = 0): void {
    this.#add('error', this.#source.within(path, from + fault.start), fault.message, fault);
  }

  get errorCount(): number {
    return this.#diagnostics.filter(({ severity }) => severity === 'error').length;
  }

  get failed(): boolean {
    return this.errorCount > 0;
  }

  /** Sorted by place, each once, errors before warnings where there are too many to show. */
  finish(): { readonly errors: readonly Diagnostic[]; readonly warnings: readonly Diagnostic[] } {
    const seen = new Set<string>();
    const files = [...new Set(this.#diagnostics.map(({ file }) => file))];
    const sorted = this.#diagnostics
      .filter((each) => {
        const key = JSON.stringify([each.file, each.line, each.column, each.message]);
        return seen.has(key) ? false : seen.add(key);
      })
      .sort(
        (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
      );
    return {
      errors: bounded(sorted.filter(({ severity }) => severity === 'error')),
      warnings: bounded(sorted.filter(({ severity }) => severity === 'warning')),
    };
  }
}

function bounded(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const shown = diagnostics.slice(0, limits.diagnosticsMax);
  const last = shown.at(-1);
  const more = diagnostics.length - shown.length;
  if (more === 0 || last === undefined) return shown;
  return [...shown, { ...last, message: `and ${more} more`, expected: undefined, nearest: undefined }];
}
