/** Every pipeline among the catalog's examples is in order, as operators would be told, with the scripts beside it. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { readPipelineFile } from '../../../coordinator/cli/submission.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { projectRoot } from '../../end-to-end/hosts.ts';

const folder = join(projectRoot, 'coordinator/catalog/examples');
const examples = readdirSync(folder);
const pathsIn = (example: string): string[] =>
  readdirSync(join(folder, example), { recursive: true, encoding: 'utf8' }).map((path) =>
    join(folder, example, path),
  );
const isPipeline = (path: string): boolean =>
  path.endsWith('.yaml') && /^kind: pipeline$/m.test(readFileSync(path, 'utf8'));

/** What is said of a pipeline, faults and warnings alike. */
function saidOf(path: string): readonly unknown[] {
  try {
    return readPipelineFile(path, undefined).warnings;
  } catch (error) {
    if (error instanceof LockstepError) return [error.message, ...error.diagnostics];
    throw error;
  }
}

t.ok(examples.length > 0, 'there are examples');
for (const example of examples) {
  t.test(example, async (t) => {
    const pipelines = pathsIn(example).filter(isPipeline);
    t.ok(pipelines.length > 0, 'it has a pipeline');
    for (const path of pipelines) t.strictSame(saidOf(path), [], relative(folder, path));
    for (const path of pathsIn(example).filter((path) => path.endsWith('.sh')))
      t.ok((statSync(path).mode & 0o111) !== 0, `${relative(folder, path)} can be executed`);
    const readme = readFileSync(join(folder, example, 'README.md'), 'utf8');
    t.match(readme, /^```sh\n(?:.|\n)*pipeline\.yaml/m, 'it says what to type');
  });
}
t.test('the README names each', async (t) => {
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8');
  for (const example of examples) t.match(readme, `coordinator/catalog/examples/${example}/`);
});
