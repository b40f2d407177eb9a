/** `lockstep diff`: two runs beside each other. Either may be a report that was kept in a file. */
import { existsSync, readFileSync } from 'node:fs';
import { LockstepError } from '../../../shared/errors.ts';
import { report as reportSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { drawComparison } from '../render/difference-text.ts';
import type { Report } from '../resources.ts';
import { compareReports } from '../run-difference.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';
import { Terminal } from '../terminal.ts';

export async function diff(first: string, second: string, options: CommonOptions): Promise<number> {
  const comparison = compareReports(await reportOf(first, options), await reportOf(second, options));
  const terminal = new Terminal();
  if (options.output !== undefined) terminal.printJson(comparison);
  else terminal.print(drawComparison(comparison));
  return exitCodes.done;
}

/** No coordinator is asked for what a file tells. */
async function reportOf(subject: string, options: CommonOptions): Promise<Report> {
  if (/^r[1-9][0-9]*$/.test(subject))
    return withCoordinator(options, ({ client }) =>
      client.read(reportSchema, `/api/runs/${segment(subject)}/report`),
    );
  if (!existsSync(subject))
    throw new LockstepError(
      'usage',
      `${subject} is neither a run like r17 nor a file that \`lockstep report RUN -o json\` wrote`,
    );
  const parsed = reportSchema.safeParse(jsonOf(subject));
  if (parsed.success) return parsed.data;
  throw new LockstepError(
    'usage',
    `${subject} is not a report: make one with \`lockstep report RUN -o json > ${subject}\``,
  );
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw new LockstepError('usage', `cannot read the report in ${file}`, { cause: error });
  }
}
