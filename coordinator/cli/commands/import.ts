/** `lockstep nodes import`: tells the coordinator of machines that do not exist yet. */
import { readFileSync } from 'node:fs';
import { LockstepError, messageOf } from '../../../shared/errors.ts';
import { limits } from '../../../shared/limits.ts';
import { imported } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import type { Line } from '../render/line.ts';
import { formatTable } from '../render/table.ts';
import { type CommonOptions, withCoordinator } from '../session.ts';

export type ImportOptions = CommonOptions & { readonly dryRun?: boolean };

const standardInput = 0;

function readText(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === '-' ? standardInput : file, 'utf8');
  } catch (cause) {
    throw new LockstepError('usage', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  if (text.length <= limits.inventoryFileBytesMax) return text;
  throw new LockstepError(
    'too-large',
    `${file} is longer than ${limits.inventoryFileBytesMax} bytes: cut it into several files`,
  );
}

export async function importNodes(file: string, options: ImportOptions): Promise<number> {
  const { dryRun = false } = options;
  const text = readText(file);
  return withCoordinator(options, async ({ client, terminal }) => {
    const answer = await client.send('POST', '/api/nodes/import', { file, text, dryRun }, imported);
    if (options.output !== undefined) {
      terminal.printJson(answer.nodes);
      return exitCodes.done;
    }
    const news = answer.nodes.filter(({ change }) => change !== 'unchanged');
    const rows = news.map(({ name, line, change, joined }) => [
      name,
      String(line),
      change,
      joined ? 'is there' : 'is to come',
    ]);
    const table: Line[] =
      rows.length === 0
        ? []
        : formatTable(
            [{ head: 'NODE' }, { head: 'LINE', align: 'right' }, { head: 'CHANGE' }, { head: '' }],
            rows,
          );
    terminal.print(table);
    const rest = answer.nodes.length - news.length;
    const done = dryRun ? 'would change; nothing was imported' : 'changed';
    terminal.note(
      `${news.length} of ${answer.nodes.length} ${done}, ${rest} ${dryRun ? 'would stay' : 'stay'} as they were`,
    );
    return exitCodes.done;
  });
}
