/** `module/task@version`: looked up among the modules that there are, and pinned by the digest of the module. */
import { oneOf } from '../expressions/shape.ts';
import { nearestWord } from '../nearest.ts';
import type { DraftTask } from './draft.ts';
import type { MemberStepFile } from './language.ts';
import { usesPattern } from './language-primitives.ts';
import type { OutputDeclaration } from './model.ts';
import type { LoadedModule, ModuleTask } from './module.ts';
import type { Report } from './report.ts';
import type { Path } from './source.ts';

type Found = { readonly task: ModuleTask; readonly module: LoadedModule };

export type UsedTask = DraftTask & { readonly outputs: ModuleTask['outputs'] };

/** The task, or all alternatives; those that do not exist are reported and left out. */
export function readUses(
  uses: NonNullable<MemberStepFile['uses']>,
  path: Path,
  modules: readonly LoadedModule[],
  report: Report,
): readonly UsedTask[] {
  const alternatives =
    typeof uses === 'string'
      ? [{ uses, path, at: path }]
      : uses.map((each, index) => ({ ...each, path: [...path, index], at: [...path, index, 'uses'] }));
  return alternatives.flatMap((alternative) => {
    const found = find(alternative.uses, alternative.at, modules, report);
    if (found === undefined) return [];
    const { task, module } = found;
    const condition = 'if' in alternative && alternative.if !== undefined ? { if: alternative.if } : {};
    const source = { uses: alternative.uses, digest: module.digest };
    return [
      {
        task: { ...condition, source, params: task.params, ...task.scripts },
        policy: task.policy,
        outputs: task.outputs,
        path: alternative.path,
      },
    ];
  });
}

function find(text: string, path: Path, modules: readonly LoadedModule[], report: Report): Found | undefined {
  const [, name, taskName, version] = usesPattern.exec(text) ?? [];
  const all = modules.flatMap(({ module }) =>
    Object.keys(module.tasks).map((task) => `${module.name}/${task}@${module.version}`),
  );
  if (name === undefined || taskName === undefined || version === undefined) {
    report.at(path, `"${text}" names no task`, {
      expected: 'module/task@version',
      nearest: all.find((each) => each.startsWith(`${text}@`)) ?? nearestWord(text, all),
    });
    return undefined;
  }
  const versions = modules.filter(({ module }) => module.name === name);
  if (versions.length === 0) {
    const names = [...new Set(modules.map(({ module }) => module.name))];
    report.at(path, `there is no module "${name}"`, {
      nearest: nearestWord(name, names),
      expected:
        names.length === 0 ? `modules/${name}/module.yaml beside the pipeline, or --modules` : oneOf(names),
    });
    return undefined;
  }
  const module = versions.find((each) => each.module.version === version);
  if (module === undefined) {
    const known = versions.map((each) => each.module.version);
    report.at(path, `module ${name} has no version ${version}`, {
      nearest: nearestWord(version, known),
      expected: oneOf(known),
    });
    return undefined;
  }
  const { tasks } = module.module;
  const task = Object.hasOwn(tasks, taskName) ? tasks[taskName] : undefined;
  if (task !== undefined) return { task, module };
  const known = Object.keys(tasks);
  report.at(path, `module ${name}@${version} has no task "${taskName}"`, {
    nearest: nearestWord(taskName, known),
    expected: oneOf(known),
  });
  return undefined;
}

/** What the step puts out, whichever alternative is taken: what only some put out is optional. */
export function mergeOutputs(
  tasks: readonly UsedTask[],
  path: Path,
  report: Report,
): Readonly<Record<string, OutputDeclaration>> {
  const merged: Record<string, OutputDeclaration> = {};
  for (const { outputs } of tasks) {
    for (const [name, output] of Object.entries(outputs)) {
      const other = merged[name];
      if (other !== undefined && other.type !== output.type) {
        report.at(path, `the alternatives put out ${name} as ${other.type} and as ${output.type}`, {
          expected: 'one type',
        });
      }
      merged[name] = {
        type: output.type,
        secret: output.secret || (other?.secret ?? false),
        optional:
          output.optional ||
          (other?.optional ?? false) ||
          tasks.some((task) => !Object.hasOwn(task.outputs, name)),
      };
    }
  }
  return merged;
}
