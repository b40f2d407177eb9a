/**
 * Runners: what can carry out a step instead of a script of its own. Each is compiled to a script and its files when
 * the pipeline is read, so that the core, the wire and agents know nothing but scripts. To add one: its words in
 * runner-language.ts, its file here, its case in `compile`, and in agent/run/runners.ts what a node needs for it.
 */
import { assertNever } from '../../assert.ts';
import type { OutputDeclaration } from '../model.ts';
import type { TaskFile } from '../module-language.ts';
import type { Report } from '../report.ts';
import { runnerNames } from '../runner-language.ts';
import type { Compiled, FileSet } from '../scripts.ts';
import type { Path } from '../source.ts';
import { compileAnsible } from './ansible.ts';
import { compileContainer } from './container.ts';
import { compileRunParts } from './run-parts.ts';
import { compileTerraform } from './terraform.ts';

/** Of a step or a module's task; the values of the one are in `with`, those of the other are its params. */
type File = Omit<TaskFile, 'params'> & {
  readonly with?: Readonly<Record<string, unknown>> | undefined;
  readonly params?: Readonly<Record<string, unknown>> | undefined;
};

/** Undefined: it has none, or one of which it was said what is wrong. */
export function compileRunner(
  file: File,
  outputs: Readonly<Record<string, OutputDeclaration>>,
  path: Path,
  beside: FileSet | undefined,
  report: Report,
): Compiled | undefined {
  const [name, ...others] = runnerNames.filter((each) => file[each] !== undefined);
  if (name === undefined) return undefined;
  for (const other of [...others, ...(file.run === undefined ? [] : ['run'])])
    report.atKey([...path, other], `"${other}" does not stand beside ${name}: a step does one of them`);
  const at = [...path, name];
  const { runParts, ansible, container } = file;
  switch (name) {
    case 'runParts':
      return runParts === undefined ? undefined : compileRunParts(runParts, at, beside, report);
    case 'ansible':
      return ansible === undefined ? undefined : compileAnsible(ansible, at, beside, report);
    case 'container':
      return container === undefined ? undefined : compileContainer(container, at, report);
    case 'terraform':
    case 'tofu': {
      const said = file[name];
      const variables = Object.keys({ ...file.params, ...file.with });
      const around = { tool: name, variables, outputs };
      return said === undefined ? undefined : compileTerraform(said, around, at, beside, report);
    }
    default:
      return assertNever(name);
  }
}
