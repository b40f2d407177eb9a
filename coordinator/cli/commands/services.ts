/** `lockstep services`: endpoints that steps provide. */
import { serviceList } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, withCoordinator } from '../session.ts';

export type ServicesOptions = CommonOptions & { readonly cluster?: string };

export async function services(options: ServicesOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(serviceList, '/api/services', { cluster: options.cluster });
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0) terminal.note('no step has provided a service yet');
    else
      terminal.print(
        formatTable(
          [
            { head: 'SERVICE' },
            { head: 'CLUSTER' },
            { head: 'NODE' },
            { head: 'ADDRESS' },
            { head: 'PORT', align: 'right' },
            { head: 'FROM' },
          ],
          items.map(({ service, cluster, node, address, port, run, step }): Cell[] => [
            service,
            cluster,
            node,
            address ?? '',
            port === null ? '' : String(port),
            `${run}/${step}`,
          ]),
        ),
      );
    return exitCodes.done;
  });
}
