/** The pipelines that stand whole in the README, by heading: tests run them as they stand there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../hosts.ts';

/** Whole pipelines of the section `### HEADING`, in order. */
export function pipelinesUnder(heading: string): readonly string[] {
  const [, after = ''] = readFileSync(join(projectRoot, 'README.md'), 'utf8').split(`\n### ${heading}\n`);
  const [section = ''] = after.split(/\n##+ /);
  return [...section.matchAll(/^```yaml\n(.*?)^```$/gms)]
    .map(([, text = '']) => text)
    .filter((text) => text.startsWith('kind: pipeline'));
}
