/** A pipeline file together with the files that it is made of: found, read, judged in form, put together. */
import type { Diagnostic } from '../diagnostic.ts';
import { limits } from '../limits.ts';
import { compositeOf } from './composite.ts';
import { extend } from './extension.ts';
import { nameFrom } from './file-name.ts';
import { calledAtEnd, calledPath } from './flatten.ts';
import { extendsAnother, isRecord, reportForm } from './form.ts';
import { Report } from './report.ts';
import type { FileSet } from './scripts.ts';
import { type Path, readSource, type Source } from './source.ts';

export type PipelineText = {
  /** The name that diagnostics give the file, and from which the names of others are reckoned. */
  readonly file: string;
  readonly text: string;
  /** What lies beside it. */
  readonly files?: FileSet;
};

/** Gives another pipeline file by its name, or undefined when there is none. */
export type Opener = (file: string) => Omit<PipelineText, 'file'> | undefined;

export type Opened = Whole & {
  /** Every file that was read, by name, the first one included. */
  readonly texts: ReadonlyMap<string, PipelineText>;
};

/** One pipeline, put together from the files that it extends. */
export type Whole = {
  /** The file that it begins with. */
  readonly file: string;
  /** All of it as one value. */
  readonly source: Source;
  readonly report: Report;
  /** Steps that were removed, and where. */
  readonly removed: ReadonlyMap<string, string>;
  /** The pipeline that this one extends. */
  readonly base?: Source;
  /** Pipelines that it calls, by the place of the call among its steps; absent: it cannot be read, which was told. */
  readonly called: ReadonlyMap<number, Whole>;
};

export type OpenedOrNot =
  | ({ readonly ok: true } & Opened)
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export function openPipeline(main: PipelineText, open: Opener): OpenedOrNot {
  const read = readSource(main.file, main.text);
  if (!read.ok) return read;
  const report = new Report(read.source);
  const texts = new Map([[main.file, main]]);
  const whole = new Assembly(open, texts).assemble(read.source, report, [main.file]);
  return whole === undefined
    ? { ok: false, diagnostics: report.finish().errors }
    : { ok: true, ...whole, texts };
}

class Assembly {
  readonly #open: Opener;
  readonly #texts: Map<string, PipelineText>;
  readonly #called = new Map<string, Whole>();

  constructor(open: Opener, texts: Map<string, PipelineText>) {
    this.#open = open;
    this.#texts = texts;
  }

  /** `way`: the files from the first one to this. Undefined: what it is made of is not there, and was reported. */
  assemble(own: Source, report: Report, way: readonly string[]): Whole | undefined {
    reportForm(own, report);
    const whole = this.#extended(own, report, way);
    if (whole === undefined) return undefined;
    const called = this.#callsOf(whole.source, report.of(whole.source), way);
    const grafts = [...called].flatMap(([index, { source }]) => {
      const path = ['steps', index];
      return [calledPath(path), calledAtEnd(idAt(whole.source, index))].map((at) => ({
        at,
        source,
        from: [],
      }));
    });
    const source = grafts.length === 0 ? whole.source : compositeOf(whole.source.value, whole.source, grafts);
    return { ...whole, file: own.fileOf([]), source, report: report.of(source), called };
  }

  #extended(
    own: Source,
    report: Report,
    way: readonly string[],
  ): Pick<Whole, 'source' | 'removed' | 'base'> | undefined {
    if (!extendsAnother(own.value)) return { source: own, removed: new Map() };
    const reference = isRecord(own.value) ? own.value.extends : undefined;
    if (typeof reference !== 'string') return undefined;
    const path = ['extends'];
    const text = this.#find(reference, own.fileOf([]), path, report, way);
    if (text === undefined) return undefined;
    const read = readSource(text.file, text.text);
    if (!read.ok) {
      report.add(read.diagnostics);
      return undefined;
    }
    const base = this.assemble(read.source, report.of(read.source), [...way, text.file]);
    return base && { ...extend(base.source, own, report), base: base.source };
  }

  #callsOf(source: Source, report: Report, way: readonly string[]): ReadonlyMap<number, Whole> {
    const called = new Map<number, Whole>();
    const steps = isRecord(source.value) ? source.value.steps : undefined;
    for (const [index, step] of (Array.isArray(steps) ? steps : []).entries()) {
      const reference: unknown = isRecord(step) ? step.pipeline : undefined;
      if (typeof reference !== 'string') continue;
      const path = ['steps', index, 'pipeline'];
      const text = this.#find(reference, source.fileOf(path), path, report, way);
      const whole = text && this.#call(text, report, way);
      if (whole !== undefined) called.set(index, whole);
    }
    return called;
  }

  /** Each pipeline is read once, however often it is called. */
  #call(text: PipelineText, report: Report, way: readonly string[]): Whole | undefined {
    const known = this.#called.get(text.file);
    if (known !== undefined) return known;
    const read = readSource(text.file, text.text);
    if (!read.ok) {
      report.add(read.diagnostics);
      return undefined;
    }
    const own = new Report(read.source);
    const whole = this.assemble(read.source, own, [...way, text.file]);
    if (whole === undefined) report.add(own.finish().errors);
    else this.#called.set(text.file, whole);
    return whole;
  }

  #find(
    reference: string,
    from: string,
    path: Path,
    report: Report,
    way: readonly string[],
  ): PipelineText | undefined {
    const name = nameFrom(from, reference);
    if (name === undefined) {
      report.at(path, `"${reference}" names no file`, { expected: 'a path such as ./common.yaml' });
      return undefined;
    }
    if (way.includes(name)) {
      const circle = [...way.slice(way.indexOf(name)), name];
      report.at(path, `a pipeline cannot be made of itself: ${circle.join(' → ')}`);
      return undefined;
    }
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const found = this.#open(name);
    if (found === undefined) {
      report.at(path, `there is no file ${name}`);
      return undefined;
    }
    if (this.#texts.size >= limits.pipelineFilesMax) {
      report.at(path, `the pipeline is made of more than ${limits.pipelineFilesMax} files`);
      return undefined;
    }
    const text = { file: name, ...found };
    this.#texts.set(name, text);
    return text;
  }
}

function idAt({ value }: Source, index: number): string {
  const steps = isRecord(value) ? value.steps : undefined;
  const step: unknown = Array.isArray(steps) ? steps[index] : undefined;
  return isRecord(step) && typeof step.id === 'string' ? step.id : '';
}
