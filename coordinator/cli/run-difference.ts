/**
 * What differs between two runs, from their reports. They may be of two sites, platforms or days, so steps are
 * matched by their name, nodes by the role they play, and values by how many nodes gave them; never by the name of
 * a node. How it looks is render/difference-text.ts.
 */
import type { Kind } from './render/report-words.ts';
import { kindNames, kindValue, kindWord, valueText } from './render/report-words.ts';
import type { Report } from './resources.ts';

export type Difference = {
  readonly about: 'pipeline' | 'param' | 'nodes' | 'outcome' | 'step' | 'output';
  readonly what: string;
  /** Null where it is not there. */
  readonly first: string | null;
  readonly second: string | null;
};

type Step = Report['steps'][number];
type StepSide = Pick<Step, 'on' | 'nodes' | 'counts' | 'tookMs' | 'medianMs' | 'longestMs'>;

export type ComparedStep = {
  readonly step: string;
  readonly first: StepSide | null;
  readonly second: StepSide | null;
};

export type Comparison = {
  readonly first: RunSide;
  readonly second: RunSide;
  /** Only what differs; times are in `steps`, because they always do. */
  readonly differences: readonly Difference[];
  readonly steps: readonly ComparedStep[];
  /** What could not be compared, because one of the reports does not tell it. */
  readonly missing: readonly string[];
};

type RunSide = Pick<Report, 'run' | 'pipeline' | 'cluster' | 'state' | 'startedAt' | 'tookMs'>;

export function compareReports(first: Report, second: Report): Comparison {
  return {
    first: sideOf(first),
    second: sideOf(second),
    differences: [
      ...comparePipelines(first, second),
      ...compareParams(first, second),
      ...compareNodes(first, second),
      ...compareOutcomes(first, second),
      ...compareSteps(first, second),
      ...compareOutputs(first, second),
    ],
    steps: pairs(first.steps, second.steps, ({ id }) => id).map(([step, a, b]) => ({
      step,
      first: a === undefined ? null : stepSide(a),
      second: b === undefined ? null : stepSide(b),
    })),
    missing: [first, second].flatMap(({ run, missing }) => missing.map((what) => `${run}: ${what}`)),
  };
}

const sideOf = ({ run, pipeline, cluster, state, startedAt, tookMs }: Report): RunSide => ({
  run,
  pipeline,
  cluster,
  state,
  startedAt,
  tookMs,
});

const stepSide = ({ on, nodes, counts, tookMs, medianMs, longestMs }: Step): StepSide => ({
  on,
  nodes,
  counts,
  tookMs,
  medianMs,
  longestMs,
});

/** What both have and what one has, by key, in the order in which they come first. */
function pairs<T>(
  first: readonly T[],
  second: readonly T[],
  keyOf: (item: T) => string,
): (readonly [string, T | undefined, T | undefined])[] {
  const firsts = new Map(first.map((item) => [keyOf(item), item]));
  const seconds = new Map(second.map((item) => [keyOf(item), item]));
  return [...new Set([...firsts.keys(), ...seconds.keys()])].map((key) => [
    key,
    firsts.get(key),
    seconds.get(key),
  ]);
}

/** Nothing when they are equal. */
function differ(
  about: Difference['about'],
  what: string,
  first: string | null,
  second: string | null,
): readonly Difference[] {
  return first === second ? [] : [{ about, what, first, second }];
}

const comparePipelines = (a: Report, b: Report): readonly Difference[] => [
  ...differ('pipeline', 'pipeline', a.pipeline, b.pipeline),
  ...differ('pipeline', 'revision', a.pipelineDigest, b.pipelineDigest),
  ...pairs(Object.entries(a.modules), Object.entries(b.modules), ([name]) => name).flatMap(
    ([name, first, second]) => differ('pipeline', `module ${name}`, first?.[1] ?? null, second?.[1] ?? null),
  ),
  ...differ('pipeline', 'cluster', a.cluster, b.cluster),
  ...differ('pipeline', 'limited to', a.limit, b.limit),
  ...differ('pipeline', 'only checked', String(a.checkOnly), String(b.checkOnly)),
];

type Param = Report['params'][number];

/** Whether two secrets are equal is nobody's to know. */
const paramText = (param: Param | undefined): string | null => {
  if (param === undefined) return null;
  const value = param.secret === null ? valueText(param.value) : '(secret)';
  return param.from === null ? value : `${value} (${param.from})`;
};

const compareParams = (a: Report, b: Report): readonly Difference[] =>
  pairs(a.params, b.params, ({ name }) => name).flatMap(([name, first, second]) =>
    differ('param', name, paramText(first), paramText(second)),
  );

const rolesOf = ({ nodes }: Report): string[] => [...new Set(nodes.flatMap(({ roles }) => roles))];

function compareNodes(a: Report, b: Report): readonly Difference[] {
  const roles = [...new Set([...rolesOf(a), ...rolesOf(b)])];
  return roles.flatMap((role) => {
    const [first, second] = [a, b].map(({ nodes }) => nodes.filter((node) => node.roles.includes(role)));
    if (first === undefined || second === undefined) return [];
    return [
      ...differ('nodes', `${role}: nodes`, String(first.length), String(second.length)),
      ...kindNames.flatMap((name) => compareKinds(role, name, first, second)),
    ];
  });
}

type Nodes = Report['nodes'];

/** Only which kinds there are: how many nodes have each differs where the numbers of nodes do. */
function compareKinds(role: string, name: keyof Kind, first: Nodes, second: Nodes): readonly Difference[] {
  const [one, other] = [first, second].map((nodes) => countWords(nodes, name));
  if (one === undefined || other === undefined) return [];
  const same = one.size === other.size && [...one.keys()].every((word) => other.has(word));
  return same
    ? []
    : [{ about: 'nodes', what: `${role}: ${kindWord[name]}`, first: counted(one), second: counted(other) }];
}

function countWords(nodes: Nodes, name: keyof Kind): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind } of nodes) {
    const word = kind === null ? '?' : kindValue(kind, name);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

function counted(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 1) return [...counts.keys()].join('');
  return [...counts].map(([word, count]) => `${word} (${count})`).join(', ');
}

const outTexts = ({ nodes }: Report): string | null => {
  const out = nodes.filter((node) => node.out !== null);
  return out.length === 0 ? null : `${out.length} of ${nodes.length}`;
};

const compareOutcomes = (a: Report, b: Report): readonly Difference[] => [
  ...differ('outcome', 'state', a.state, b.state),
  ...differ('outcome', 'reason', a.reason, b.reason),
  ...differ('outcome', 'nodes that left', outTexts(a), outTexts(b)),
];

/** By share, so that a small site can be compared with a large one. */
const outcomesOf = ({ counts, nodes }: Step): string => {
  const all = Object.entries(counts);
  if (all.length === 1) return `all ${all[0]?.[0] ?? ''}`;
  return all.map(([state, count]) => `${count}/${nodes} ${state}`).join(', ');
};

function compareSteps(a: Report, b: Report): readonly Difference[] {
  return pairs(a.steps, b.steps, ({ id }) => id).flatMap(([id, first, second]) => {
    if (first === undefined || second === undefined)
      return differ('step', id, first === undefined ? null : 'there', second === undefined ? null : 'there');
    return [
      ...differ('step', `${id}: on`, first.on.join(', '), second.on.join(', ')),
      ...differ('step', `${id}: outcome`, outcomesOf(first), outcomesOf(second)),
      ...differ('step', `${id}: most attempts`, String(first.attemptsMax), String(second.attemptsMax)),
    ];
  });
}

type Output = Step['outputs'][number];

const textsOf = ({ values }: Output): string[] => values.map(({ value }) => valueText(value)).toSorted();

const outputText = (output: Output | undefined): string | null => {
  if (output === undefined) return null;
  const more = output.leftOut > 0 ? ` and ${output.leftOut} more` : '';
  return `${textsOf(output).join(', ')}${more}`;
};

/** Which values were given; not by whom, and not by how many. */
const compareOutputs = (a: Report, b: Report): readonly Difference[] =>
  pairs(a.steps, b.steps, ({ id }) => id).flatMap(([id, first, second]) =>
    first === undefined || second === undefined
      ? []
      : pairs(first.outputs, second.outputs, ({ name }) => name).flatMap(([name, one, other]) =>
          differ('output', `${id}: ${name}`, outputText(one), outputText(other)),
        ),
  );
