/**
 * What can be read where. The coordinator builds these values when a job is granted, the agent those of `until`;
 * the names and shapes here are what they have to provide:
 *
 * - `select`, `prefer`: `name`, `labels`, `facts` of one node.
 * - `if`, `with`, `provides`: `params`, `node`, `cluster`, `roles.X.nodes`, `roles.X.leader`,
 *   `steps.X.outputs` (a step on one node), `steps.X.nodes["n"].outputs`, `services.X.endpoints`.
 * - `until`: `outputs`, `params` (with what `with` gives), `node`, `exitCode`, `iteration`.
 *
 * What is missing is not there at all, never null: `has()` is how an expression asks.
 */
import { assertNever } from '../assert.ts';
import type { Access } from '../expressions/accesses.ts';
import type { Place } from '../expressions/check.ts';
import type { Fault } from '../expressions/expression.ts';
import {
  type Field,
  factsShape,
  labelsShape,
  type ObjectShape,
  type Shape,
  shapes,
} from '../expressions/shape.ts';
import type { OutputType } from '../messages.ts';
import { type DraftStep, type DraftUnit, isFinally, isOnLeader } from './draft.ts';
import type {
  AftermathPart,
  OutputDeclaration,
  ParamDeclaration,
  ParamType,
  RoleDeclaration,
} from './model.ts';
import type { Order } from './order.ts';

const nodeShape = shapes.object('a node', {
  name: { shape: shapes.string },
  labels: { shape: labelsShape },
  facts: { shape: factsShape },
  address: { shape: shapes.string },
});

const endpointShape = shapes.object('an endpoint', {
  node: { shape: shapes.string },
  address: { shape: shapes.string },
  port: { shape: shapes.int },
});

const selectValues = shapes.object('a node', {
  name: { shape: shapes.string },
  labels: { shape: labelsShape },
  facts: { shape: factsShape },
});

/** Of `select` and `prefer`: only what is known of a node before the run. */
export const selectPlace = (title: string): Place => ({
  title,
  values: selectValues,
  hint: 'nodes are selected before the run begins, by what is known of each alone',
});

/** What the agent knows of its node when it evaluates `until`: facts are the coordinator's. */
const ownNodeShape = shapes.object('the node', {
  name: { shape: shapes.string },
  labels: { shape: labelsShape },
});

/** A file travels as a reference: it can be handed on, and nothing of it can be read. */
const fileShape = shapes.object('a file', {});

export function shapeOfType(type: ParamType | OutputType): Shape {
  switch (type) {
    case 'string':
    case 'int':
    case 'double':
    case 'bool':
      return { kind: type };
    case 'json':
      return shapes.any;
    case 'file':
      return fileShape;
    default:
      return assertNever(type);
  }
}

const paramsShape = (params: Readonly<Record<string, ParamDeclaration>>): ObjectShape =>
  shapes.object(
    'params',
    mapValues(params, ({ type }) => ({ shape: shapeOfType(type) })),
  );

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  turn: (value: A, key: string) => B,
): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, turn(value, key)]));

function outputsShape(
  id: string,
  outputs: Readonly<Record<string, OutputDeclaration>>,
  skippable: string | undefined,
): ObjectShape {
  return shapes.object(
    `the outputs of step ${id}`,
    mapValues(outputs, ({ type, optional }): Field => {
      const reason = skippable ?? (optional ? 'it is declared optional' : undefined);
      return { shape: shapeOfType(type), ...(reason === undefined ? {} : { optional: reason }) };
    }),
  );
}

function stepShape(step: DraftStep): Shape {
  if (step.broken) return shapes.any;
  const { id, unit } = step;
  const outputs = outputsShape(id, step.outputs, step.skippable);
  const ofNode = shapes.object(`a node of step ${id}`, { outputs: { shape: outputs } });
  const nodes: Field = { shape: shapes.map(ofNode) };
  if (isOnLeader(unit.on)) return shapes.object(`step ${id}`, { outputs: { shape: outputs }, nodes });
  const refused = `step ${id} may run on several nodes, so its outputs belong to a node each`;
  return shapes.object(`step ${id}`, {
    outputs: { refused, expected: `steps["${id}"].nodes["NAME"].outputs` },
    nodes,
  });
}

function roleShape({ name, optional }: RoleDeclaration): Shape {
  const leader: Field = { shape: nodeShape, ...(optional ? { optional: `role ${name} is optional` } : {}) };
  return shapes.object(`role ${name}`, { nodes: { shape: shapes.list(nodeShape) }, leader });
}

/**
 * The values of `if`, `with` and `provides`, for all steps; what comes too early is judged by `judgeOrder`. `end`: of
 * what, for steps that come after others whether those were run or not. `removed`: steps that another file took away,
 * and where.
 */
export function jobValues(
  params: Readonly<Record<string, ParamDeclaration>>,
  roles: Readonly<Record<string, RoleDeclaration>>,
  steps: readonly DraftStep[],
  removed: ReadonlyMap<string, string>,
  end?: End,
): ObjectShape {
  const service: Shape = shapes.object('a service', { endpoints: { shape: shapes.list(endpointShape) } });
  const provided = steps.flatMap(({ file }) =>
    file?.provides === undefined ? [] : [serviceName(file.provides)],
  );
  return shapes.object('a job', {
    params: { shape: paramsShape(params) },
    node: { shape: nodeShape },
    target: { shape: nodeShape },
    targets: { shape: shapes.list(nodeShape) },
    cluster: { shape: shapes.object('cluster', { name: { shape: shapes.string } }) },
    ...(end === undefined ? {} : { outcome: { shape: shapes.string }, failure: failureOf(end) }),
    roles: {
      shape: shapes.object(
        'roles',
        mapValues(roles, (role) => ({ shape: roleShape(role) })),
      ),
    },
    steps: {
      shape: shapes.object('steps', {
        ...Object.fromEntries(
          [...removed].map(([id, place]): [string, Field] => [
            id,
            { refused: `step ${id} is removed at ${place}`, expected: 'a step that is still there' },
          ]),
        ),
        ...Object.fromEntries(
          steps.map((step) => [
            step.id,
            { shape: stepShape(end === undefined ? step : perhapsNotRun(step, end)) },
          ]),
        ),
      }),
    },
    services: {
      shape: shapes.open('services', Object.fromEntries(provided.map((name) => [name, { shape: service }])), {
        shape: service,
        optional: 'no step of this pipeline provides it',
      }),
    },
  });
}

/** The end of the run, or of one unit on a node: after a failure, or however it ended. */
export type End = 'of-run' | { readonly of: DraftUnit; readonly part: AftermathPart };

function perhapsNotRun(step: DraftStep, end: End): DraftStep {
  if (end === 'of-run') {
    if (isFinally(step.unit)) return step;
    return { ...step, skippable: step.skippable ?? `the run may end before step ${step.id}` };
  }
  if (step.part !== undefined || !end.of.steps.some(({ id }) => id === step.id)) return step;
  return { ...step, skippable: step.skippable ?? `${end.of.id} may end before step ${step.id} is done` };
}

/** What failed: in rescue something did. A signal leaves no exit status, and neither does what never ran. */
function failureOf(end: End): Field {
  const always = end !== 'of-run' && end.part === 'rescue';
  const text: Field = { shape: shapes.string, ...(always ? {} : { optional: 'nothing may have failed' }) };
  const exit: Field = { shape: shapes.int, optional: 'what was ended by a signal or never ran has none' };
  const fields = { node: text, step: text, reason: text, exit, logTail: text };
  return { shape: shapes.object('failure', fields) };
}

const serviceName = (provides: string | { readonly service: string }): string =>
  typeof provides === 'string' ? provides : provides.service;

export const jobPlace = (title: string, values: ObjectShape): Place => ({
  title,
  values,
  node: nodeShape,
  hint: 'outputs of a step are under steps, what until knows is known on the node only, and how something ended in rescue, always and finally only',
});

/** The values of `until`: what the node itself knows. `given`: the types of what `with` gives. */
export function untilPlace(
  step: DraftStep,
  params: Readonly<Record<string, ParamDeclaration>>,
  given: Readonly<Record<string, Shape>>,
): Place {
  const own = Object.entries(params).filter(([, { secret }]) => !secret);
  // What the script has not written yet means "not yet", so nothing of its own outputs is optional here.
  const outputs = Object.entries(step.outputs).map(
    ([name, output]) => [name, { ...output, optional: false }] as const,
  );
  const fields: Record<string, Field> = {
    ...mapValues(Object.fromEntries(own), ({ type }) => ({ shape: shapeOfType(type) })),
  };
  for (const [name, shape] of Object.entries(given)) fields[name] = { shape };
  return {
    title: 'until',
    values: shapes.object('until', {
      outputs: { shape: outputsShape(step.id, Object.fromEntries(outputs), undefined) },
      params: { shape: shapes.object('params', fields) },
      node: { shape: ownNodeShape },
      exitCode: { shape: shapes.int },
      iteration: { shape: shapes.int },
    }),
    hint: 'until is evaluated on the node; give it other values in "with" and read them as params',
  };
}

/** What a job waits for and what it may see must be known before it is evaluated. */
const named: ReadonlySet<string> = new Set(['steps', 'roles', 'services']);

/** Refuses to read what is not certainly done before the step. */
export function judgeOrder(
  step: DraftStep,
  steps: ReadonlyMap<string, DraftStep>,
  order: Order,
): (access: Access) => Fault | undefined {
  const { here, everywhere } = order.before(step.id);
  const providers = [...steps.values()].filter(({ file }) => file?.provides !== undefined);
  return (access) => {
    const [name, part, index] = access.steps;
    if (name?.key === undefined) {
      if (!named.has(access.root)) return undefined;
      const message = `${access.root} cannot be read as a whole, or by a name that is computed`;
      return { message, expected: `${access.root}.NAME`, start: access.start, end: name?.end ?? access.end };
    }
    const refuse = (message: string, expected: string): Fault => ({
      message,
      expected,
      start: name.start,
      end: name.end,
    });
    if (access.root === 'steps') {
      if (name.key === step.id)
        return refuse(`step ${step.id} cannot read what it puts out itself`, 'an earlier step');
      // Only a computed name can be that of this very node.
      const own = part?.key === 'nodes' && index?.kind === 'index' && index.key === undefined;
      if (everywhere.has(name.key) || (own && here.has(name.key))) return undefined;
      const expected = `"${name.key}" among its needs`;
      return here.has(name.key)
        ? refuse(
            `step ${step.id} waits for ${name.key} on its own node only, and other nodes may not be done`,
            expected,
          )
        : refuse(`step ${name.key} is not always done before ${step.id}`, expected);
    }
    if (access.root === 'services') {
      const mine = providers.filter(
        ({ file }) => file?.provides !== undefined && serviceName(file.provides) === name.key,
      );
      if (mine.length === 0 || mine.some(({ id }) => everywhere.has(id))) return undefined;
      const ids = mine.map(({ id }) => id).join(', ');
      return refuse(`service ${name.key} is not always there before ${step.id}`, `${ids} among its needs`);
    }
    return undefined;
  };
}
