/** The pipelines that are measured: many jobs in a chain per node, and many barriers in a row. */

/** Zero-padded, so that the order of names is the order of steps. */
const stepId = (index: number): string => `s${String(index).padStart(3, '0')}`;

const pipeline = (name: string, steps: readonly string[]): string =>
  ['kind: pipeline', `name: ${name}`, "roles: { all: { select: 'true' } }", 'steps:', ...steps, ''].join(
    '\n',
  );

const noop = "run: ':', rerun: idempotent";

/** Each node goes through all steps at its own pace: no job waits for another node. */
export const chainPipeline = (steps: number): string =>
  pipeline(
    'chain',
    Array.from({ length: steps }, (_, index) => {
      const needs = index === 0 ? '' : `needs: [{ step: ${stepId(index - 1)}, same: node }], `;
      return `  - { id: ${stepId(index)}, on: all, ${needs}${noop} }`;
    }),
  );

/** No node begins a step before all have done the one before it. */
export const barrierPipeline = (steps: number): string =>
  pipeline(
    'barriers',
    Array.from({ length: steps }, (_, index) => `  - { id: ${stepId(index)}, on: all, ${noop} }`),
  );
