/** A pipeline file together with the files that it is made of: found, read, judged in form, put together. */
import type { Diagnostic } from '../diagnostic.ts';
import { limits } from '../limits.ts';
import { extend } from './extension.ts';
import { nameFrom } from './file-name.ts';
import { extendsAnother, isRecord, reportForm } from './form.ts';
import { Report } from './report.ts';
import type { FileSet } from './scripts.ts';
import { readSource, type Source } from './source.ts';

export type PipelineText = {
  /** The name that diagnostics give the file, and from which the names of others are reckoned. */
  readonly file: string;
  readonly text: string;
  /** What lies beside it. */
  readonly files?: FileSet;
};

/** Gives another pipeline file by its name, or undefined when there is none. */
export type Opener = (file: string) => Omit<PipelineText, 'file'> | undefined;

export type Opened = {
  /** All of it as one value. */
  readonly source: Source;
  readonly report: Report;
  /** Every file that was read, by name, the first one included. */
  readonly texts: ReadonlyMap<string, PipelineText>;
  /** Steps that were removed, and where. */
  readonly removed: ReadonlyMap<string, string>;
  /** The pipeline that this one extends. */
  readonly base?: Source;
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
    : { ok: true, ...whole, report: report.of(whole.source), texts };
}

type Whole = Pick<Opened, 'source' | 'removed' | 'base'>;

class Assembly {
  readonly #open: Opener;
  readonly #texts: Map<string, PipelineText>;

  constructor(open: Opener, texts: Map<string, PipelineText>) {
    this.#open = open;
    this.#texts = texts;
  }

  /** `way`: the files from the first one to this. Undefined: what it is made of is not there, and was reported. */
  assemble(own: Source, report: Report, way: readonly string[]): Whole | undefined {
    reportForm(own, report);
    if (!extendsAnother(own.value)) return { source: own, removed: new Map() };
    const reference = isRecord(own.value) ? own.value.extends : undefined;
    if (typeof reference !== 'string') return undefined;
    const base = this.#read(reference, own, report, way);
    if (base === undefined) return undefined;
    return { ...extend(base.source, own, report), base: base.source };
  }

  #read(reference: string, own: Source, report: Report, way: readonly string[]): Whole | undefined {
    const path = ['extends'];
    const name = nameFrom(own.fileOf([]), reference);
    if (name === undefined) {
      report.at(path, `"${reference}" names no file`, { expected: 'a path such as ./common.yaml' });
      return undefined;
    }
    if (way.includes(name)) {
      const circle = [...way.slice(way.indexOf(name)), name];
      report.at(path, `pipelines extend each other in a circle: ${circle.join(' → ')}`);
      return undefined;
    }
    const text = this.#texts.get(name) ?? this.#open(name);
    if (text === undefined) {
      report.at(path, `there is no file ${name}`);
      return undefined;
    }
    this.#texts.set(name, { file: name, ...text });
    if (this.#texts.size > limits.pipelineFilesMax) {
      report.at(path, `the pipeline is made of more than ${limits.pipelineFilesMax} files`);
      return undefined;
    }
    const read = readSource(name, text.text);
    if (!read.ok) {
      report.add(read.diagnostics);
      return undefined;
    }
    return this.assemble(read.source, report.of(read.source), [...way, name]);
  }
}
