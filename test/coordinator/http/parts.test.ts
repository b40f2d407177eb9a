/** What a job told of its parts, from the result of an agent to the answers of the API and the command line. */
import t from 'tap';
import { listParts } from '../../../coordinator/cli/render/parts.ts';
import * as resources from '../../../coordinator/http/resources.ts';
import type { Part } from '../../../shared/parts.ts';
import { TestCoordinator } from '../coordinator-in-process.ts';
import { resultOf, SmallAgent } from '../small-agent.ts';

const list: Part[] = [
  { name: 'web : install', within: 'Web', host: 'n1', state: 'changed', durationMs: 5 },
  { name: 'web : start', within: 'Web', host: 'n1', state: 'failed', message: 'x'.repeat(600) },
];

t.test('parts of a job that failed, also after a restart of the coordinator', async (t) => {
  const coordinator = await TestCoordinator.start(t);
  const agent = await SmallAgent.join(coordinator.url, await coordinator.joinToken(), 'n1');
  agent.say({ type: 'pull', credit: 1 });
  const text = 'kind: pipeline\nname: p\nroles: { all: {} }\nsteps: [{ id: s, on: all, run: x }]\n';
  const { id } = await coordinator.post(resources.run, '/api/runs', { file: 'p.yaml', text });
  const { attempt } = await agent.grant();
  const result = resultOf(attempt, {
    outcome: 'failed',
    exitCode: 2,
    reason: 'run exited with 2',
    parts: { list, omitted: 7 },
  });
  agent.say(
    { type: 'accepted', attempt },
    { type: 'started', attempt, at: 1 },
    { type: 'result', number: 1, result },
  );
  await agent.hear('ack-results');
  await coordinator.stop();
  await coordinator.start();
  const run = await coordinator.get(resources.run, `/api/runs/${id}`);
  t.match(run.jobs, [{ state: 'failed', parts: list, partsOmitted: 7 }]);
  const lines = listParts(run).map((spans) => spans.map(({ text }) => text).join(''));
  t.match(lines, [
    /^STEP +IN +PART +CAME TO$/,
    /^s +Web +web : install +changed n1$/,
    /^s +Web +web : start +failed n1$/,
    /n1: x+$/,
    'and 7 more that are only in the logs',
  ]);
});
