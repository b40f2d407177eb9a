/**
 * What random pipelines say of values, from a chance of its own: outputs, steps that read them, secrets, `until` and
 * `verify`. Older seeds tell the same stories.
 */
import type {
  OutputDeclaration,
  Pipeline,
  Step,
  Task,
  TemplateValue,
  Unit,
} from '../../../shared/pipeline/model.ts';
import type { Random } from './random-pipeline.ts';

/** What scripts write for each of them is in simulation/script-output.ts. */
const kinds: Readonly<Record<string, Omit<OutputDeclaration, 'optional'>>> = {
  text: { type: 'string', secret: false },
  count: { type: 'int', secret: false },
  flag: { type: 'bool', secret: false },
  list: { type: 'json', secret: false },
  file: { type: 'file', secret: false },
  key: { type: 'string', secret: true },
};

export function withValues(random: Random, pipeline: Pipeline): Pipeline {
  if (!random.chance(0.3)) return pipeline;
  const before: Step[] = [];
  const units = pipeline.units.map((unit): Unit => {
    // At the end everything else is over, one way or another: nothing of it is waited for.
    const isEnd = unit.finally === true;
    const steps = unit.steps.map((step) =>
      step.part === undefined ? valued(random, step, before, isEnd) : step,
    );
    if (!isEnd) before.push(...steps.filter(({ part }) => part === undefined));
    return { ...unit, steps };
  });
  const token = { type: 'string', secret: true, generate: { hex: 16 } } as const;
  return { ...pipeline, params: { ...pipeline.params, token }, units };
}

function valued(random: Random, step: Step, before: readonly Step[], isEnd: boolean): Step {
  const outputs = Object.fromEntries(
    Object.entries(kinds)
      .filter(() => random.chance(0.4))
      .map(([name, kind]) => [name, { ...kind, optional: random.chance(0.2) }]),
  );
  const inputs = before
    .filter(() => random.chance(0.4))
    .flatMap((source) => inputsFrom(random, source, isEnd));
  const own: Readonly<Record<string, TemplateValue>> = random.chance(0.5)
    ? { token: { template: '${{ params.token }}', secret: true } }
    : {};
  const isRepeated = outputs.count !== undefined && step.rerun !== 'never-twice' && random.chance(0.3);
  return {
    ...step,
    outputs,
    with: { ...own, ...Object.fromEntries(inputs) },
    needs: isEnd ? step.needs : [...step.needs, ...needsFor(step, before, inputs)],
    tasks: step.tasks.map((task): Task => (random.chance(0.2) ? { ...task, verify } : task)),
    ...(isRepeated ? { until: { expression: 'outputs.count >= 3', everyMs: 500 } } : {}),
  };
}

const verify: Exclude<Task['verify'], undefined> = {
  script: { shell: ['sh', '-e'], text: 'true' },
  everyMs: 500,
  timeoutMs: 40_000,
};

/** Of a leader's step its outputs, of others those of the node itself, which may not have any. */
function inputsFrom(
  random: Random,
  source: Step,
  isEnd: boolean,
): readonly (readonly [string, TemplateValue])[] {
  const names = Object.keys(source.outputs);
  if (names.length === 0) return [];
  const name = random.pick(names);
  const { secret = false, optional = true } = source.outputs[name] ?? {};
  const isOne = source.scope === undefined && source.on.every(({ who }) => who === 'leader');
  const at = isOne ? `steps["${source.id}"]` : `steps["${source.id}"].nodes[target.name]`;
  const plain = `${at}.outputs.${name}`;
  const value =
    isOne && !optional && !isEnd ? plain : `has(${plain}) ? ${plain} : ${secret ? '"none"' : 'null'}`;
  const isComposed = secret && random.chance(0.5);
  const template = isComposed ? `key of \${{ string(${value}) }}` : `\${{ ${value} }}`;
  return [[`from_${source.id.replaceAll('-', '_')}`, { template, secret }]];
}

/** Who reads a step comes after it, on all its nodes. */
function needsFor(
  step: Step,
  before: readonly Step[],
  inputs: readonly (readonly [string, TemplateValue])[],
): Step['needs'] {
  const read = new Set(inputs.map(([name]) => name));
  return before
    .filter(({ id }) => read.has(`from_${id.replaceAll('-', '_')}`))
    .filter(({ id }) => !step.needs.some((need) => need.step === id))
    .map(({ id }) => ({ step: id, sameNode: false }));
}
