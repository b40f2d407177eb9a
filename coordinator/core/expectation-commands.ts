/** What operators say of machines that are to come: which nodes are expected, and which node gets another machine. */
import { assert } from '../../shared/assert.ts';
import { requireNode, requireThat } from './administration.ts';
import type { Command } from './commands.ts';
import { isOver } from './derive.ts';
import { judgeExpectations } from './expected-nodes.ts';
import { interruptJob } from './results.ts';
import type { Node, Run } from './state.ts';
import type { Turn } from './turn.ts';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

/** All of them or none. What is known already, word for word, changes nothing. */
export function expectNodes(turn: Turn, { nodes, by }: CommandOf<'ExpectNodes'>): void {
  const { faults, changes } = judgeExpectations(turn.state, nodes);
  requireThat(faults.length === 0, 'invalid', faults.map(({ message }) => message).join('\n'));
  assert(changes.length === nodes.length, 'each expectation is judged');
  const news = nodes.filter((_, index) => changes[index] !== 'unchanged');
  if (news.length > 0) turn.emit({ type: 'NodesExpected', nodes: news, by });
}

/**
 * The node's machine is gone, and the next one gets its name, its labels and its place in runs. What was granted to the
 * old one ends here: it is refused when it comes back, so nobody will ever tell how that ended, and `rerun` decides.
 */
export function replaceNode(turn: Turn, { node: name, by, reason }: CommandOf<'ReplaceNode'>): void {
  const node = requireNode(turn, name);
  if (node.vacancy !== null) return;
  requireThat(
    node.contact !== 'connected',
    'conflict',
    `node ${name} is connected: stop its agent first, so that no two machines are one node`,
  );
  turn.emit({ type: 'NodeReplaced', node: name, by, reason });
  // Both were said of the machine that is gone.
  if (node.administration === 'retired' || node.administration === 'quarantined')
    turn.emit({
      type: 'NodeAdministered',
      node: name,
      administration: 'in-service',
      by,
      reason: `another machine takes its place`,
    });
  for (const run of [...node.queue]) holdHalfDone(turn, run, node);
  for (const job of [...node.segment])
    interruptJob(turn, job, `evidence lost: the machine of ${name} was replaced`);
}

/** What the run did on the old machine is not on the new one: whether it goes on there all the same is no rule's to say. */
function holdHalfDone(turn: Turn, run: Run, node: Node): void {
  if (run.end !== null || run.outcome !== null || run.cancel !== null) return;
  // Whoever is to decide already looks at it.
  if (run.hold?.needs === 'decision' || run.failing !== null) return;
  if (run.members.get(node.name)?.out !== null) return;
  const done = run.steps.filter(({ jobs }) => jobs.get(node.name)?.state === 'succeeded');
  const open = run.steps.flatMap(({ jobs }) => jobs.get(node.name) ?? []).filter((job) => !isOver(job));
  if (done.length === 0 || open.length === 0) return;
  const steps = done.map(({ step }) => step.id).join(', ');
  turn.emit({
    type: 'RunHeld',
    run: run.id,
    needs: 'decision',
    reason: `the machine of ${node.name} was replaced, and what ${steps} did was on the old one`,
  });
}
