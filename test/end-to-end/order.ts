/**
 * Two witnesses of what happened in a run: the coordinator's journal, and the notes that nodes took while
 * they worked (etcd/traced.sh). Both become lists of executions, so that one claim can be put to both.
 */
import type { JournalEvent } from './cluster.ts';

/**
 * One execution of a step on a node. Times are comparable within a witness: seqs, or microseconds. `allowed`
 * is when the node got leave: a node that was given several steps at once begins later ones when it may.
 */
export type Execution = {
  readonly step: string;
  readonly node: string;
  readonly allowed: number;
  readonly began: number;
  readonly ended: number;
};

export type Witnesses = { readonly journal: readonly Execution[]; readonly nodes: readonly Execution[] };

function fromJournal(events: readonly JournalEvent[], run: string): Execution[] {
  const open = new Map<string, { readonly allowed: number; began: number }>();
  const executions: Execution[] = [];
  for (const { seq, type, run: ofRun, step = '', node = '' } of events) {
    if (ofRun !== run) continue;
    const job = `${step}/${node}`;
    const begun = open.get(job);
    if (type === 'JobGranted') open.set(job, { allowed: seq, began: seq });
    else if (type === 'JobStarted' && begun !== undefined) begun.began = seq;
    // A grant may cover several attempts; each ends once.
    else if (type === 'AttemptEnded') {
      if (begun === undefined) throw new Error(`${job} ended at ${seq} without a grant`);
      executions.push({ step, node, ...begun, ended: seq });
    }
  }
  return executions;
}

function fromNodes(trace: string, run: string): Execution[] {
  const open = new Map<string, { readonly step: string; readonly began: number }>();
  const executions: Execution[] = [];
  for (const line of trace.trim().split('\n')) {
    const [at, node = '', ofRun, step = '', phase] = line.split(' ');
    if (ofRun !== run) continue;
    const begun = open.get(node);
    if (phase === 'begin') {
      if (begun !== undefined) throw new Error(`${node} began ${step} during ${begun.step}`);
      open.set(node, { step, began: Number(at) });
    } else {
      // A node does one thing at a time, so what ends is what it began last.
      if (begun?.step !== step) throw new Error(`${node} ended ${step}, which it had not begun`);
      open.delete(node);
      executions.push({ step, node, allowed: begun.began, began: begun.began, ended: Number(at) });
    }
  }
  return executions;
}

export const witnessesOf = (run: string, events: readonly JournalEvent[], trace: string): Witnesses => ({
  journal: fromJournal(events, run),
  nodes: fromNodes(trace, run),
});

/**
 * Whether all of `before` had ended when any of `after` was allowed; false when either never happened. What one
 * node was given at once it keeps in order by itself: there the beginning counts.
 */
export function inOrder(executions: readonly Execution[], before: string, after: string): boolean {
  const earlier = executions.filter(({ step }) => step === before);
  const later = executions.filter(({ step }) => step === after);
  if (earlier.length === 0 || later.length === 0) return false;
  return earlier.every(({ node, ended }) =>
    later.every((other) => ended < (other.node === node ? other.began : other.allowed)),
  );
}

/** Whether each node that did `after` had ended `before` when it began; false when none did. */
export function inOrderPerNode(executions: readonly Execution[], before: string, after: string): boolean {
  const later = executions.filter(({ step }) => step === after);
  return (
    later.length > 0 &&
    later.every(({ node, began }) => {
      const earlier = executions.filter((other) => other.step === before && other.node === node);
      return earlier.length > 0 && earlier.every(({ ended }) => ended < began);
    })
  );
}

/** The nodes in the order of their turns; undefined when two of them were at work at the same time. */
export function nodesInTurn(executions: readonly Execution[]): string[] | undefined {
  const turns = Object.entries(Object.groupBy(executions, ({ node }) => node))
    .map(([node, own = []]) => ({
      node,
      allowed: Math.min(...own.map(({ allowed }) => allowed)),
      ended: Math.max(...own.map(({ ended }) => ended)),
    }))
    .sort((a, b) => a.allowed - b.allowed);
  const apart = turns.every(({ allowed }, index) => allowed > (turns[index - 1]?.ended ?? -1));
  return apart ? turns.map(({ node }) => node) : undefined;
}
