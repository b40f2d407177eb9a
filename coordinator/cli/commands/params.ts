/** `lockstep params`: values kept for a cluster or a node, and which one a node would get. */
import { readFileSync } from 'node:fs';
import { LockstepError } from '../../../shared/errors.ts';
import { effectiveParams, paramList } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type Line, line, span } from '../render/line.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';
import { Terminal } from '../terminal.ts';

export type ScopeOptions = CommonOptions & { readonly cluster?: string; readonly node?: string };
export type SetOptions = ScopeOptions & {
  readonly secret?: boolean;
  readonly json?: boolean;
  readonly file?: string;
};
export type ExplainOptions = CommonOptions & { readonly explain?: boolean; readonly run?: string };

const valueText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function scopeOf({ cluster, node }: ScopeOptions): { cluster: string } | { node: string } {
  if (cluster !== undefined && node !== undefined)
    throw new LockstepError(
      'usage',
      'a param is kept for a cluster or for a node: choose --cluster or --node',
    );
  return node === undefined ? { cluster: cluster ?? 'default' } : { node };
}

const scopeText = (scope: { cluster: string } | { node: string }): string =>
  'node' in scope ? `node ${scope.node}` : `cluster ${scope.cluster}`;

export async function listed(options: ScopeOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { cluster, node } = options;
    const { items } = await client.read(paramList, '/api/params', { cluster, node });
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0)
      terminal.note('no params are set; set one with `lockstep params set NAME=VALUE`');
    else
      terminal.print(
        formatTable(
          [{ head: 'PARAM' }, { head: 'SCOPE' }, { head: 'VALUE' }],
          items.map(({ name, scope, value }): Cell[] => [name, scopeText(scope), valueText(value)]),
        ),
      );
    return exitCodes.done;
  });
}

/** `-` is standard input; one line's end at the end belongs to the file, not to the value. */
function readValue(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new LockstepError('usage', `cannot read the value from ${path === '-' ? 'standard input' : path}`, {
      cause,
    });
  }
}

async function valueFor(name: string, given: string | undefined, options: SetOptions): Promise<string> {
  if (given !== undefined && options.file !== undefined)
    throw new LockstepError('usage', `${name} has a value twice: on the command line and in --file`);
  if (given !== undefined) return given;
  if (options.file !== undefined) return readValue(options.file);
  const terminal = new Terminal();
  if (terminal.canAsk) return terminal.askSecret(`value of ${name}`);
  throw new LockstepError(
    'usage',
    `${name} has no value: write ${name}=VALUE, or keep it out of the command line with --file PATH (\`-\` is standard input)`,
  );
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LockstepError('usage', `the value of ${name} is not JSON, as --json says`, { cause });
  }
}

export async function set(word: string, options: SetOptions): Promise<number> {
  const equals = word.indexOf('=');
  const name = equals === -1 ? word : word.slice(0, equals);
  const text = await valueFor(name, equals === -1 ? undefined : word.slice(equals + 1), options);
  const value = options.json ? parseJson(name, text) : text;
  const scope = scopeOf(options);
  return withCoordinator(options, async ({ client, terminal }) => {
    const body = { ...scope, name, value, secret: options.secret === true };
    await client.order('PUT', '/api/params', { content: { json: body } });
    if (options.output === undefined) terminal.note(`${name} is set for ${scopeText(scope)}`);
    else terminal.printJson({ scope, name, secret: options.secret === true });
    return exitCodes.done;
  });
}

export async function unset(name: string, options: ScopeOptions): Promise<number> {
  const scope = scopeOf(options);
  return withCoordinator(options, async ({ client, terminal }) => {
    await client.order('DELETE', '/api/params', { query: { ...scope, name } });
    if (options.output === undefined) terminal.note(`${name} is no longer set for ${scopeText(scope)}`);
    else terminal.printJson({ scope, name });
    return exitCodes.done;
  });
}

/** What a node would get, and with `--explain` every layer that has a say. */
export async function ofNode(node: string, options: ExplainOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(effectiveParams, `/api/nodes/${segment(node)}/params`, {
      run: options.run,
    });
    if (options.output !== undefined) {
      terminal.printJson(items);
      return exitCodes.done;
    }
    if (items.length === 0)
      terminal.note(
        `${node} gets no params${options.run === undefined ? '; with --run also those of a run' : ''}`,
      );
    else if (!options.explain)
      terminal.print(
        formatTable(
          [{ head: 'PARAM' }, { head: 'VALUE' }, { head: 'FROM' }],
          items.map(({ name, value, layer }): Cell[] => [name, valueText(value), layer]),
        ),
      );
    else
      terminal.printWhole(
        items.flatMap(({ name, value, layers }): Line[] => [
          [span(name, 'strong'), span(` = ${valueText(value)}`)],
          // The last layer that has a value decides: it stands first, the ones it hides below it.
          ...[...layers]
            .reverse()
            .map(({ layer, value: layered }, index) =>
              line(
                `  ${index === 0 ? 'from' : 'over'} ${layer}: ${valueText(layered)}`,
                index === 0 ? 'plain' : 'dim',
              ),
            ),
        ]),
      );
    return exitCodes.done;
  });
}
