/** /api/receivers: who is told of what happens. A key that is made here is shown once. */
import type * as z from 'zod';
import { present } from '../../shared/assert.ts';
import { isNotificationKind, type NotificationKind, notificationKinds } from '../core/notification-kinds.ts';
import type { ReceiverState } from '../core/receivers.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import { answers, createRoute, jsonBody, nameParam, noContent, type Router, readState } from './routing.ts';
import { timeOf, timeOrNull } from './views/value.ts';

const declare = createRoute({
  method: 'post',
  path: '/api/receivers',
  request: jsonBody(resources.receiverDeclaration),
  responses: answers(201, resources.receiverDeclared, 'The receiver; a key that was made is not shown again'),
});

const list = createRoute({
  method: 'get',
  path: '/api/receivers',
  responses: answers(200, resources.receiverList, 'Every receiver, and how far it has been told'),
});

const remove = createRoute({
  method: 'delete',
  path: '/api/receivers/{name}',
  request: { params: nameParam },
  responses: noContent,
});

const test = createRoute({
  method: 'post',
  path: '/api/receivers/{name}/test',
  request: { params: nameParam },
  responses: answers(200, resources.deliveryTest, 'What became of one delivery'),
});

const keyBytes = 32;

/** Both lists of kinds are one, or this does not compile. */
const kindsOf = (
  words: readonly (typeof resources.notificationKindWords)[number][],
): readonly NotificationKind[] => words;

const presetKinds = (): readonly NotificationKind[] =>
  Object.keys(notificationKinds)
    .filter(isNotificationKind)
    .filter((kind) => notificationKinds[kind]);

export function addReceivers(api: Router, ports: ApiPorts): void {
  const { sequencer, notifier } = ports;

  api.openapi(declare, async (context) => {
    const { name, target, filter } = context.req.valid('json');
    const made = target.kind === 'webhook' && target.key === null ? ports.random(keyBytes) : null;
    await sequencer.submit({
      type: 'DeclareReceiver',
      receiver: name,
      target: target.kind === 'webhook' ? { ...target, key: target.key ?? made ?? '' } : target,
      filter: {
        kinds: filter.kinds === null ? presetKinds() : kindsOf(filter.kinds),
        clusters: filter.clusters ?? [],
        pipelines: filter.pipelines ?? [],
      },
      by: context.get('by'),
    });
    await notifier.refresh();
    const receiver = await readState(context, ports, (state) =>
      present(state.receivers.get(name), `receiver ${name}`),
    );
    return context.json({ ...viewReceiver(receiver, ports), key: made }, 201);
  });

  api.openapi(list, async (context) => {
    const receivers = await readState(context, ports, (state) => [...state.receivers.values()]);
    return context.json({ items: receivers.map((receiver) => viewReceiver(receiver, ports)) }, 200);
  });

  api.openapi(remove, async (context) => {
    const { name } = context.req.valid('param');
    await sequencer.submit({ type: 'RemoveReceiver', receiver: name, by: context.get('by') });
    await notifier.refresh();
    return context.body(null, 204);
  });

  api.openapi(test, async (context) => {
    const result = await notifier.test(context.req.valid('param').name);
    return context.json({ delivered: result.ok, reason: result.ok ? null : result.reason }, 200);
  });
}

function viewReceiver(
  { receiver, target, filter, by, declaredAt }: ReceiverState,
  { notifier }: ApiPorts,
): z.infer<typeof resources.receiver> {
  const { cursor, trying } = notifier.progressOf(receiver) ?? { cursor: undefined, trying: null };
  const last = cursor?.lastGivenUp ?? null;
  return {
    name: receiver,
    target:
      target.kind === 'webhook'
        ? { kind: 'webhook', origin: target.origin }
        : target.kind === 'mail'
          ? { kind: 'mail', to: [...target.to] }
          : target,
    filter: {
      kinds: [...filter.kinds],
      clusters: [...filter.clusters],
      pipelines: [...filter.pipelines],
    },
    by,
    declaredAt: timeOf(declaredAt),
    delivered: cursor?.delivered ?? 0,
    deliveredAt: timeOrNull(cursor?.deliveredAt ?? null),
    trying: trying === null ? null : { ...trying, at: timeOf(trying.at) },
    givenUp: cursor?.givenUp ?? 0,
    lastGivenUp: last === null ? null : { ...last, at: timeOf(last.at) },
  };
}
