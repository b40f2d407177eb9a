/** What became of nodes that were away when it was their turn, in words. */
import { assertNever } from '../../../shared/assert.ts';
import type { Job, RunListed } from '../resources.ts';
import { formatDate } from './measures.ts';

/** `397 of 400 nodes done (12 late), 2 deferred, 1 overdue` */
export function deferralText(deferral: NonNullable<RunListed['deferral']>): string {
  const { nodes, done, late, ...others } = deferral;
  const rest = Object.entries(others).filter(([, count]) => count > 0);
  return [
    `${done + late} of ${nodes} ${nodes === 1 ? 'node' : 'nodes'} done${late === 0 ? '' : ` (${late} late)`}`,
    ...rest.map(([state, count]) => `${count} ${state}`),
  ].join(', ');
}

export function describeDeferral({ state, since, until, by }: NonNullable<Job['deferral']>): string {
  const deferred = `deferred ${formatDate(Date.parse(since))}`;
  switch (state) {
    case 'deferred':
      return until === undefined ? deferred : `${deferred}, due until ${formatDate(Date.parse(until))}`;
    case 'late':
      return `${deferred}, done later`;
    case 'overdue':
      return `${deferred}, overdue: its node was not back in time`;
    case 'superseded':
      return `${deferred}, superseded by run ${by ?? ''}`;
    case 'dropped':
      return `${deferred}, not done`;
    default:
      return assertNever(state);
  }
}
