/** `lockstep clusters` and `lockstep cluster set`: who is unavailable, and how many may be. */
import type * as z from 'zod';
import { LockstepError } from '../../../shared/errors.ts';
import { percentPattern } from '../../../shared/pipeline/amount.ts';
import { clusterList, cluster as clusterSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { foldNames } from '../render/node-names.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

type Cluster = z.infer<typeof clusterSchema>;
export type ClusterOptions = CommonOptions & { readonly maxUnavailable: string };

const causesText = ({ causes }: Cluster): string =>
  causes.map(({ cause, nodes }) => `${nodes.length} ${cause} (${foldNames(nodes)})`).join(', ');

const budgetText = ({ maxUnavailable, allowed }: Cluster): string =>
  maxUnavailable === null ? '' : maxUnavailable === allowed ? `${allowed}` : `${allowed} (${maxUnavailable})`;

export async function listed(options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(clusterList, '/api/clusters');
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0) terminal.note('there are no clusters yet: nodes bring them along');
    else
      terminal.print(
        formatTable(
          [
            { head: 'CLUSTER' },
            { head: 'NODES', align: 'right' },
            { head: 'UNAVAILABLE', align: 'right' },
            { head: 'MAY BE', align: 'right' },
            { head: 'BECAUSE' },
          ],
          items.map((cluster): Cell[] => [
            cluster.name,
            String(cluster.nodes),
            String(cluster.unavailable),
            budgetText(cluster),
            causesText(cluster),
          ]),
        ),
      );
    return exitCodes.done;
  });
}

function amountOf(text: string): number | string | null {
  if (text === 'none') return null;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  if (percentPattern.test(text)) return text;
  throw new LockstepError(
    'usage',
    `--max-unavailable cannot be "${text}": it takes a number of nodes, a percentage from 1% to 100%, or none`,
  );
}

export async function set(name: string, options: ClusterOptions): Promise<number> {
  const maxUnavailable = amountOf(options.maxUnavailable);
  return withCoordinator(options, async ({ client, terminal }) => {
    const path = `/api/clusters/${segment(name)}`;
    const cluster = await client.send('PATCH', path, { maxUnavailable }, clusterSchema);
    if (options.output !== undefined) terminal.printJson(cluster);
    else if (cluster.allowed === null) terminal.note(`cluster ${name} has no disruption budget any more`);
    else {
      const now =
        cluster.unavailable === 0 ? 'none is now' : `${cluster.unavailable} now: ${causesText(cluster)}`;
      terminal.note(
        `of ${cluster.nodes} nodes of cluster ${name}, ${cluster.allowed} may be unavailable; ${now}`,
      );
    }
    return exitCodes.done;
  });
}
