/** /api/triggers: what starts runs by itself; and /hooks, where somebody from outside starts one. */
import * as z from 'zod';
import { assert } from '../../shared/assert.ts';
import { LockstepError } from '../../shared/errors.ts';
import type { State } from '../core/state.ts';
import { explainTrigger } from '../core/triggering.ts';
import type { TriggerState } from '../core/triggers.ts';
import { acceptSubmission } from './accept-submission.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import {
  answers,
  createRoute,
  jsonBody,
  nameParam,
  noContent,
  problems,
  type Router,
  readState,
} from './routing.ts';
import { timeOf, timeOrNull } from './views/value.ts';

const declare = createRoute({
  method: 'post',
  path: '/api/triggers',
  request: jsonBody(resources.triggerDeclaration),
  responses: answers(201, resources.triggerDeclared, 'The trigger; the key of a webhook is not shown again'),
});

const list = createRoute({
  method: 'get',
  path: '/api/triggers',
  responses: answers(200, resources.triggerList, 'Every trigger, and what it waits for'),
});

const get = createRoute({
  method: 'get',
  path: '/api/triggers/{name}',
  request: { params: nameParam },
  responses: answers(200, resources.trigger, 'The trigger, and what it waits for'),
});

const remove = createRoute({
  method: 'delete',
  path: '/api/triggers/{name}',
  request: { params: nameParam },
  responses: noContent,
});

const fire = createRoute({
  method: 'post',
  path: '/api/triggers/{name}/fire',
  request: { params: nameParam },
  responses: answers(201, resources.triggerFired, 'The run that was started'),
});

const call = createRoute({
  method: 'post',
  path: '/hooks/{name}/{key}',
  request: { params: nameParam.extend({ key: z.string().max(128) }) },
  responses: {
    202: {
      description: 'What it starts begins as soon as it may',
      content: { 'application/json': { schema: resources.triggerCalled } },
    },
    default: problems,
  },
});

const keyBytes = 24;

export function addTriggers(api: Router, ports: ApiPorts): void {
  const { sequencer, lookup } = ports;

  api.openapi(declare, async (context) => {
    const { name, on, atMostEveryMs, onlyNew, submission } = context.req.valid('json');
    const by = context.get('by');
    const { starts } = await acceptSubmission(ports, submission, by);
    const key = on.kind === 'webhook' ? ports.random(keyBytes) : null;
    await sequencer.submit({
      type: 'DeclareTrigger',
      trigger: name,
      on:
        key === null || on.kind !== 'webhook'
          ? (on as Exclude<typeof on, { kind: 'webhook' }>)
          : { kind: 'webhook', hash: lookup.digestOf(key) },
      atMostEveryMs,
      onlyNew,
      starts,
    });
    const shown = await readState(context, ports, (state) => viewTrigger(state, requireTrigger(state, name)));
    return context.json({ ...shown, key }, 201);
  });

  api.openapi(list, async (context) => {
    const items = await readState(context, ports, (state) =>
      [...state.triggers.values()].map((trigger) => viewTrigger(state, trigger)),
    );
    return context.json({ items }, 200);
  });

  api.openapi(get, async (context) => {
    const { name } = context.req.valid('param');
    return context.json(
      await readState(context, ports, (state) => viewTrigger(state, requireTrigger(state, name))),
      200,
    );
  });

  api.openapi(remove, async (context) => {
    const { name } = context.req.valid('param');
    await sequencer.submit({ type: 'RemoveTrigger', trigger: name, by: context.get('by') });
    return context.body(null, 204);
  });

  api.openapi(fire, async (context) => {
    const { name } = context.req.valid('param');
    const events = await sequencer.submit({ type: 'FireTrigger', trigger: name, by: context.get('by') });
    const created = events.find((event) => event.type === 'RunCreated');
    assert(created !== undefined, 'firing a trigger creates a run');
    return context.json({ run: created.run }, 201);
  });

  // Its body is not read: what is started was declared, and who knows the key can do no more than start it.
  api.openapi(call, async (context) => {
    const { name, key } = context.req.valid('param');
    const isKnown = await sequencer.read(({ triggers }) => {
      const on = triggers.get(name)?.on;
      // Digests are compared, so that the time that it takes tells nothing of the key.
      return on?.kind === 'webhook' && on.hash === lookup.digestOf(key);
    });
    if (!isKnown) throw new LockstepError('not-found', 'no trigger has this address');
    await sequencer.submit({ type: 'MeetTrigger', trigger: name });
    return context.json({ trigger: name }, 202);
  });
}

function requireTrigger(state: State, name: string): TriggerState {
  const trigger = state.triggers.get(name);
  if (trigger === undefined)
    throw new LockstepError('not-found', `no trigger is named ${name}: see lockstep trigger list`);
  return trigger;
}

function viewTrigger(state: State, trigger: TriggerState): z.infer<typeof resources.trigger> {
  const { on, lastRun, lastFailure } = trigger;
  return {
    name: trigger.trigger,
    on: on.kind === 'webhook' ? { kind: 'webhook' } : on,
    atMostEveryMs: trigger.atMostEveryMs,
    cluster: trigger.cluster,
    pipeline: trigger.pipeline.name,
    limit: trigger.limit,
    checkOnly: trigger.checkOnly,
    onlyNew: trigger.onlyNew,
    by: trigger.by,
    declaredAt: timeOf(trigger.declaredAt),
    nextAt: timeOrNull(trigger.nextAt),
    sentence: explainTrigger(state, trigger),
    lastRun: lastRun === null ? null : { ...lastRun, at: timeOf(lastRun.at) },
    lastFailure: lastFailure === null ? null : { ...lastFailure, at: timeOf(lastFailure.at) },
  };
}
