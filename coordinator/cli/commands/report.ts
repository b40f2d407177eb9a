/** `lockstep report`: one run as a deployment note. */
import { report as reportSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { writeReport } from '../render/report-text.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export async function report(run: string, options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const document = await client.read(reportSchema, `/api/runs/${segment(run)}/report`);
    if (options.output !== undefined) terminal.printJson(document);
    else terminal.write(writeReport(document));
    return exitCodes.done;
  });
}
