/**
 * Runners: what can carry out a step instead of a script of its own. Each is compiled to a script and its files when
 * the pipeline is read, so that the core, the wire and agents know nothing but scripts. To add one: its words in
 * runner-language.ts, its file here, one line in `compilers`, and in agent/run/runners.ts what a node needs for it.
 */
import type { Report } from '../report.ts';
import { type RunnerFile, runnerNames } from '../runner-language.ts';
import type { Compiled, FileSet } from '../scripts.ts';
import type { Path } from '../source.ts';
import { compileAnsible } from './ansible.ts';
import { compileRunParts } from './run-parts.ts';

export function compileRunner(
  file: RunnerFile & { readonly run?: string | undefined },
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Compiled | undefined {
  const [name, ...others] = runnerNames.filter((each) => file[each] !== undefined);
  if (name === undefined) return undefined;
  for (const other of [...others, ...(file.run === undefined ? [] : ['run'])])
    report.atKey([...path, other], `"${other}" does not stand beside ${name}: a step does one of them`);
  if (file.runParts !== undefined)
    return compileRunParts(file.runParts, [...path, 'runParts'], beside, report);
  if (file.ansible !== undefined) return compileAnsible(file.ansible, [...path, 'ansible'], beside, report);
  return undefined;
}
