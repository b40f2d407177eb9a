/** How many params, roles, values and outputs a pipeline may have: what is made of them travels in one piece. */
import { limits } from '../limits.ts';
import type { DraftUnit } from './draft.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';

export function reportCounts(
  params: number,
  roles: number,
  units: readonly DraftUnit[],
  report: Report,
): void {
  const check = (path: Path, count: number, max: number, what: string): void => {
    if (count > max) report.atKey(path, `${count} ${what} are too many`, { expected: `at most ${max}` });
  };
  check(['params'], params, limits.pipelineParamsMax, 'params');
  check(['roles'], roles, limits.pipelineRolesMax, 'roles');
  for (const { path, file, outputs, tasks } of units.flatMap(({ steps }) => steps)) {
    const at = (key: 'with' | 'outputs'): Path =>
      file !== undefined && key in file ? [...path, key] : [...path, 'uses'];
    check(at('with'), Object.keys(file?.with ?? {}).length, limits.stepNamesMax, 'values');
    check(at('outputs'), Object.keys(outputs).length, limits.stepNamesMax, 'outputs');
    for (const { task, path: used } of tasks) {
      check(used, Object.keys(task.params ?? {}).length, limits.stepNamesMax, 'params of a task');
    }
  }
}
