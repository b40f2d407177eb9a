/**
 * Forty steps in which everything that the language says about order and interruption occurs, and what each of
 * them promises, said again in the fewest words, so that it can be held against what happened.
 */
type Rerun = 'never-twice' | 'verify-first' | 'idempotent';

export type PromisedStep = {
  readonly id: string;
  readonly rerun: Rerun;
  /** The step that comes before it, on every node or on the same one. */
  readonly after: { readonly step: string; readonly on: 'every node' | 'same node' } | null;
  /** Executions in an attempt that succeeds. */
  readonly executions: number;
  /** The rolling unit that it belongs to. */
  readonly unit: string | null;
};

/** How many nodes of a rolling unit may be unavailable at once. */
export const unavailableMax = 2;

type Entry = Omit<PromisedStep, 'id' | 'after'> & {
  readonly name: string;
  readonly same?: boolean;
  /** Keys of the step beside its id and needs, as YAML. */
  readonly words: string;
};

const entry = (
  name: string,
  rerun: Rerun,
  words: string,
  more: Partial<Pick<Entry, 'same' | 'executions' | 'unit'>> = {},
): Entry => ({ name, rerun, words, executions: 1, unit: null, ...more });

const job = 'run: ./job.sh, unknownAfter: 4s';
const verified = `${job}, rerun: verify-first, check: ./done.sh`;

/** The last step of each block differs. */
const lastEntries: readonly Entry[] = [
  entry(
    'until',
    'idempotent',
    'on: all, run: ./job.sh counts, outputs: { count: { type: int } }, until: outputs.count >= 3, every: 100ms',
    {
      executions: 3,
    },
  ),
  entry('deferred', 'idempotent', `on: all, ${job}, rerun: idempotent, offline: defer`),
  entry('reboot', 'verify-first', `${verified}, reboot: after, rebootTimeout: 2m`, {
    unit: 'rolling-reboot',
  }),
  entry('deferred-once', 'never-twice', `on: all, ${job}, offline: defer`),
];

const blockOf = (block: number, last: Entry): readonly Entry[] => [
  entry('first', 'never-twice', `on: all, ${job}`),
  entry('second', 'idempotent', `on: all, ${job}, rerun: idempotent`, { same: true }),
  entry('third', 'verify-first', `on: all, ${verified}`, { same: true }),
  entry('fourth', 'never-twice', `on: all, ${job}`, { same: true }),
  entry(
    'word',
    'idempotent',
    `on: all.leader, ${job}, rerun: idempotent, outputs: { word: { type: string } }`,
  ),
  entry(
    'reader',
    'never-twice',
    `on: all, with: { word: '\${{ steps["b${block}-word"].outputs.word }}' }, ${job}`,
  ),
  entry('stop', 'never-twice', job, { unit: `b${block}-rolling` }),
  entry('start', 'verify-first', verified, { unit: `b${block}-rolling`, same: true }),
  entry(
    'retried',
    'idempotent',
    'on: all, run: ./job.sh fails-once, rerun: idempotent, retry: { attempts: 3, backoff: 200ms }',
  ),
  last,
];

const entries: readonly Entry[] = lastEntries.flatMap((last, block) =>
  blockOf(block, last).map((one) => ({ ...one, name: `b${block}-${one.name}` })),
);

export const promisedSteps: readonly PromisedStep[] = entries.map(
  ({ name, rerun, executions, unit, same }, index) => {
    const before = entries[index - 1];
    return {
      id: name,
      rerun,
      executions,
      unit,
      after:
        before === undefined ? null : { step: before.name, on: same === true ? 'same node' : 'every node' },
    };
  },
);

function linesOf(one: Entry, before: Entry | undefined, next: Entry | undefined): string[] {
  if (one.unit === null) {
    const needs =
      one.same === true && before !== undefined ? `needs: [{ step: ${before.name}, same: node }], ` : '';
    return [`  - { id: ${one.name}, ${needs}${one.words} }`];
  }
  const strategy = `strategy: { rolling: { maxUnavailable: ${unavailableMax} } }`;
  const head = [`  - id: ${one.unit}`, '    on: all', `    ${strategy}`, '    group:'];
  return [
    ...(before?.unit === one.unit ? [] : head),
    `      - { id: ${one.name}, ${one.words} }`,
    ...(next?.unit === one.unit ? [] : [`    verify: { run: 'true', every: 200ms, timeout: 1m }`]),
  ];
}

export const pipeline = [
  'kind: pipeline',
  'name: chaos',
  'roles: { all: { select: \'labels.use == "chaos"\', count: 5 } }',
  'steps:',
  ...entries.flatMap((one, index) => linesOf(one, entries[index - 1], entries[index + 1])),
  '',
].join('\n');
