/** A coordinator that runs, and its links to agents: what it says of them, and how often they were lost. */

import { limits } from '../../shared/limits.ts';
import { health, nodePage } from '../http/resources.ts';
import { type Finding, finding, type Subject } from './finding.ts';

const hourMs = 60 * 60_000;

export async function* checkLinks({ client, state, journal }: Subject): AsyncGenerator<Finding | string> {
  if (client === null || state === null || journal === null) return;
  if (state.fence !== null)
    yield finding(
      `${state.fence.node} has seen a newer reign (epoch ${state.fence.epoch} of lineage ${state.fence.lineage}): nothing is granted here`,
      'stop this coordinator; or back it up and restore that, if it is the one that should go on',
    );
  else {
    const { agents } = await client.read(health, '/health');
    yield `${agents} agents are connected`;
  }
  for await (const { name, state: now } of client.list(nodePage, '/api/nodes'))
    if (now === 'unreachable')
      yield finding(
        `${name} is unreachable`,
        `look at its agent and at the network; see \`lockstep why ${name}\``,
      );
  const lost = new Map<string, number>();
  const since = Date.now() - hourMs;
  const from = await journal.oldest();
  for await (const page of journal.read({ from }))
    for (const event of page)
      if (event.type === 'NodeDisconnected' && event.at >= since)
        lost.set(event.node, (lost.get(event.node) ?? 0) + 1);
  for (const [node, times] of lost)
    if (times > limits.linksLostPerHourMax)
      yield finding(`${node} has lost its link ${times} times within an hour`, 'look at the network between');
}
