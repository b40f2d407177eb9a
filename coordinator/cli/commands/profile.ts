/** `lockstep profile`: params that apply where they match. */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type * as z from 'zod';
import type { Diagnostic } from '../../../shared/diagnostic.ts';
import { LockstepError } from '../../../shared/errors.ts';
import { parseProfile, type SecretSource } from '../../../shared/pipeline/profile.ts';
import { profileList, profile as profileSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { type Cell, formatTable } from '../render/table.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';
import { readText, shownPath } from '../submission.ts';

type Application = z.input<typeof import('../../http/resources.ts').profileApplication>;

/** Every file is read and judged, with its secrets, before any is applied. */
function readProfiles(paths: readonly string[]): Application[] {
  const diagnostics: Diagnostic[] = [];
  const applications = paths.flatMap((path): Application[] => {
    const parsed = parseProfile(shownPath(path), readText(path));
    if (!parsed.ok) {
      diagnostics.push(...parsed.diagnostics);
      return [];
    }
    const { name, priority, where, params, secrets } = parsed.profile;
    const values = Object.entries(secrets).map(([param, source]) => [param, secretFrom(source, param, path)]);
    return [
      {
        name,
        priority,
        where: {
          labels: Object.fromEntries(Object.entries(where.labels).map(([key, each]) => [key, [...each]])),
          roles: where.roles === null ? null : [...where.roles],
        },
        params: params as Application['params'],
        secrets: Object.fromEntries(values),
      },
    ];
  });
  if (diagnostics.length > 0)
    throw new LockstepError(
      'invalid',
      `${paths.map((path) => basename(path)).join(', ')}: ${diagnostics.length} ${diagnostics.length === 1 ? 'fault' : 'faults'}: nothing was applied`,
      { diagnostics },
    );
  return applications;
}

/** The line's end at the end of a file belongs to the file, not to the value. */
function secretFrom(source: SecretSource, param: string, path: string): string {
  if ('env' in source) {
    const value = process.env[source.env];
    if (value !== undefined) return value;
    throw new LockstepError(
      'usage',
      `the secret ${param} of ${path} is taken from $${source.env}, which is not set`,
    );
  }
  const place = resolve(dirname(path), source.file);
  try {
    return readFileSync(place, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new LockstepError('usage', `the secret ${param} of ${path} cannot be read from ${place}`, {
      cause,
    });
  }
}

export async function apply(paths: readonly string[], options: CommonOptions): Promise<number> {
  const applications = readProfiles(paths);
  return withCoordinator(options, async ({ client, terminal }) => {
    const applied: z.infer<typeof profileSchema>[] = [];
    for (const application of applications)
      applied.push(await client.send('PUT', '/api/profiles', application, profileSchema));
    if (options.output !== undefined) terminal.printJson(applied);
    else
      for (const { name, nodes } of applied)
        terminal.note(
          `profile ${name} is applied; ${nodes} ${nodes === 1 ? 'node fits' : 'nodes fit'} it now`,
        );
    return exitCodes.done;
  });
}

function whereText({ where: { labels, roles } }: z.infer<typeof profileSchema>): string {
  const parts = Object.entries(labels).map(([key, values]) => `${key}=${values.join('|')}`);
  if (roles !== null) parts.push(`role ${roles.join('|')}`);
  return parts.length === 0 ? 'everywhere' : parts.join(', ');
}

export async function listed(options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const { items } = await client.read(profileList, '/api/profiles');
    if (options.output !== undefined) terminal.printJson(items);
    else if (items.length === 0)
      terminal.note('there are no profiles; apply one with `lockstep profile apply FILE`');
    else
      terminal.print(
        formatTable(
          [
            { head: 'PROFILE' },
            { head: 'PRIORITY', align: 'right' },
            { head: 'WHERE' },
            { head: 'NODES', align: 'right' },
            { head: 'PARAMS' },
          ],
          items.map((one): Cell[] => [
            one.name,
            String(one.priority),
            whereText(one),
            String(one.nodes),
            Object.keys(one.params).join(', '),
          ]),
        ),
      );
    return exitCodes.done;
  });
}

export async function remove(names: readonly string[], options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    for (const name of names) await client.order('DELETE', `/api/profiles/${segment(name)}`);
    if (options.output !== undefined) terminal.printJson(names);
    else terminal.note(`removed: ${names.join(', ')}`);
    return exitCodes.done;
  });
}
