/**
 * A submission as the core takes it: the pipeline read and judged again, because a client can say anything;
 * its files present; its params by declared type. Nothing here changes the state.
 */
import type * as z from 'zod';
import { canonicalJson } from '../../shared/canonical-json.ts';
import type { Diagnostic } from '../../shared/diagnostic.ts';
import { LockstepError } from '../../shared/errors.ts';
import { checkExpression } from '../../shared/expressions/check.ts';
import { limits } from '../../shared/limits.ts';
import type { BundleManifest } from '../../shared/messages.ts';
import type { ParamDeclaration, Pipeline } from '../../shared/pipeline/model.ts';
import { type LoadedModule, parseModule } from '../../shared/pipeline/module.ts';
import { parsePipeline } from '../../shared/pipeline/pipeline.ts';
import { selectPlace } from '../../shared/pipeline/places.ts';
import type { FileSet } from '../../shared/pipeline/scripts.ts';
import type { CreateRun } from '../core/commands.ts';
import type * as resources from './resources.ts';

export type Submission = z.output<typeof resources.submission>;

export type ReadSubmission = {
  readonly command: Omit<CreateRun, 'by' | 'generated'>;
  readonly warnings: readonly Diagnostic[];
  /** Texts of bundle manifests, to be stored before the run is created. */
  readonly manifests: readonly string[];
  /** Digests of files that have to be stored already, by what they are called. */
  readonly files: ReadonlyMap<string, string>;
};

/** Throws `invalid` with every fault of the pipeline and its modules. */
export function readSubmission(submission: Submission, digestOf: (text: string) => string): ReadSubmission {
  const { file, text, bundle, cluster, limit, checkOnly, from } = submission;
  const files = new Map<string, string>();
  const manifests: string[] = [];
  const modules: LoadedModule[] = [];
  const faults: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  for (const source of submission.modules) {
    const parsed = parseModule({ ...source, files: new ManifestFiles(source.bundle, digestOf) });
    if (!parsed.ok) {
      faults.push(...parsed.diagnostics);
      continue;
    }
    const content = canonicalJson({ text: source.text, files: [...parsed.requiredFiles] });
    modules.push({ module: parsed.module, digest: digestOf(content) });
    manifests.push(...parsed.manifests.values());
    for (const [path, { digest }] of parsed.requiredFiles) files.set(digest, `${source.file}: ${path}`);
    warnings.push(...parsed.warnings);
  }
  const others = new Map(submission.pipelines.map((source) => [source.file, source]));
  const parsed = parsePipeline({
    file,
    text,
    modules,
    files: new ManifestFiles(bundle, digestOf),
    open: (name) => {
      const other = others.get(name);
      return other && { text: other.text, files: new ManifestFiles(other.bundle, digestOf) };
    },
  });
  if (!parsed.ok) faults.push(...parsed.diagnostics);
  if (!parsed.ok || faults.some(({ severity }) => severity === 'error')) throw invalid(file, faults);
  const { pipeline } = parsed;
  checkSize(file, pipeline);
  checkLimit(limit);
  manifests.push(...parsed.manifests.values());
  for (const [path, { digest }] of parsed.requiredFiles) files.set(digest, path);
  for (const other of parsed.others)
    for (const [path, { digest }] of other.requiredFiles) files.set(digest, `${other.file}: ${path}`);
  const params = readParams(pipeline, submission.params);
  return {
    command: { type: 'CreateRun', cluster, pipeline, params, limit, checkOnly, from },
    warnings: [...warnings, ...parsed.warnings],
    manifests,
    files,
  };
}

function invalid(file: string, diagnostics: readonly Diagnostic[]): LockstepError {
  const count = diagnostics.filter(({ severity }) => severity === 'error').length;
  const message = `${file} has ${count} ${count === 1 ? 'fault' : 'faults'}: nothing was run`;
  return new LockstepError('invalid', message, { diagnostics });
}

/** The whole pipeline travels in one event; anchors in a short file can make a long one. */
function checkSize(file: string, pipeline: Pipeline): void {
  const bytes = Buffer.byteLength(JSON.stringify(pipeline));
  if (bytes <= limits.pipelineModelBytesMax) return;
  throw new LockstepError(
    'too-large',
    `${file} has ${bytes} bytes when its anchors and modules are filled in; at most ` +
      `${limits.pipelineModelBytesMax} fit: keep long texts in files beside it`,
  );
}

function checkLimit(limit: string | null): void {
  if (limit === null) return;
  const { faults } = checkExpression(limit, selectPlace('limit'), 'bool');
  if (faults.length === 0) return;
  const reasons = faults.map(({ message, start }) => `character ${start + 1}: ${message}`);
  throw new LockstepError(
    'invalid',
    `the limit ${JSON.stringify(limit)} cannot be used: ${reasons.join('; ')}`,
  );
}

/** Values by declared type; whether they are allowed is the core's to say, as it knows the other layers. */
function readParams(pipeline: Pipeline, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const declaration = Object.hasOwn(pipeline.params, name) ? pipeline.params[name] : undefined;
    const read =
      typeof value === 'string' && declaration !== undefined ? fromText(declaration, value) : value;
    if (read === undefined) faults.push(`param ${name} is not ${typeWords[declaration?.type ?? 'json']}`);
    else params[name] = read;
  }
  if (faults.length > 0) throw new LockstepError('invalid', faults.join('; '));
  return params;
}

const typeWords = {
  string: 'text',
  int: 'a whole number',
  double: 'a number',
  bool: 'true or false',
  json: 'JSON',
} as const satisfies Record<ParamDeclaration['type'], string>;

/** What was typed on a command line, by type; undefined when it is not of that type. */
function fromText({ type }: ParamDeclaration, text: string): unknown {
  switch (type) {
    case 'string':
      return text;
    case 'int':
      return /^[+-]?\d{1,16}$/.test(text) ? Number(text) : undefined;
    case 'double':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case 'bool':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'json':
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
  }
}

/** The files beside a pipeline or module, as their manifest names them. */
class ManifestFiles implements FileSet {
  readonly digest: (text: string) => string;
  readonly #files: BundleManifest['files'];

  constructor(manifest: BundleManifest, digest: (text: string) => string) {
    this.#files = manifest.files;
    this.digest = digest;
  }

  find(path: string): ReturnType<FileSet['find']> {
    const file = this.#files.find((candidate) => candidate.path === path);
    if (file !== undefined) {
      const { digest, sizeBytes, executable } = file;
      return { kind: 'file', digest, sizeBytes, executable };
    }
    const prefix = path === '' ? '' : `${path}/`;
    const below = this.#files.filter((candidate) => candidate.path.startsWith(prefix));
    if (below.length === 0) return undefined;
    const entries = below.map(({ path: full, digest, sizeBytes, executable }) => [
      full.slice(prefix.length),
      { digest, sizeBytes, executable },
    ]);
    return { kind: 'folder', files: Object.fromEntries(entries) };
  }
}
