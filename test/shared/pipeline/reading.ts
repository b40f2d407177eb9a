/** Reads pipelines in tests: a short head so that a case is only what it is about, findings as operators see them. */
import { hash } from 'node:crypto';
import { formatDiagnostic } from '../../../shared/diagnostic.ts';
import type { Pipeline, Step } from '../../../shared/pipeline/model.ts';
import type { LoadedModule } from '../../../shared/pipeline/module.ts';
import { type PipelineInput, parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import type { FileSet } from '../../../shared/pipeline/scripts.ts';

export const digestOf = (text: string): string => `sha256:${hash('sha256', text)}`;

const stat = (path: string) => ({ digest: digestOf(path), sizeBytes: path.length, executable: true });

/** Files beside the pipeline, and one folder `etc` with two files. */
export const filesNamed = (...names: readonly string[]): FileSet => ({
  find: (path) => {
    if (path === 'etc') return { kind: 'folder', files: { 'a.conf': stat('a'), 'sub/b.conf': stat('b') } };
    return names.includes(path) ? { kind: 'file', ...stat(path) } : undefined;
  },
  digest: digestOf,
});

/** Three lines; what a case adds begins at line 4. */
export const head = `kind: pipeline
name: p
roles: { all: {}, two: { count: 2 } }
`;

type More = { readonly files?: FileSet; readonly modules?: readonly LoadedModule[] };

const input = (text: string, { files, modules }: More): PipelineInput => ({
  file: 'p.yaml',
  text,
  ...(files === undefined ? {} : { files }),
  ...(modules === undefined ? {} : { modules }),
});

/** Everything that is said of a text, as lines; errors and, for a pipeline in order, warnings. */
export function findings(text: string, more: More = {}): readonly string[] {
  const parsed = parsePipeline(input(text, more));
  const lines = (parsed.ok ? parsed.warnings : parsed.diagnostics).map(formatDiagnostic);
  return lines.map((line) => line.replace(/^p\.yaml:/, ''));
}

/** The model, where the text is in order. */
export function pipelineOf(text: string, more: More = {}): Pipeline {
  const parsed = parsePipeline(input(text, more));
  if (parsed.ok) return parsed.pipeline;
  throw new Error(parsed.diagnostics.map(formatDiagnostic).join('\n'));
}

export function stepOf(pipeline: Pipeline, id: string): Step {
  const step = pipeline.units.flatMap(({ steps }) => steps).find((each) => each.id === id);
  if (step === undefined) throw new Error(`no step ${id}`);
  return step;
}
