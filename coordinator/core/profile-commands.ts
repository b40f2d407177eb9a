/** Applying profiles, anew or instead of what they were, and taking them away. */
import { identifierPattern, nodeNamePattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { utf8Length } from '../../shared/utf8.ts';
import { requireRoomForSecrets, requireThat } from './administration.ts';
import type { Command } from './commands.ts';
import type { StoredValue } from './event-values.ts';
import type { Turn } from './turn.ts';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;

export function applyProfile(turn: Turn, command: CommandOf<'ApplyProfile'>): void {
  const { profile, priority, where, by } = command;
  const { profiles } = turn.state;
  requireThat(
    nodeNamePattern.test(profile),
    'invalid',
    `${JSON.stringify(profile)} is not a name: small letters, digits, dots and dashes`,
  );
  requireThat(
    profiles.has(profile) || profiles.size < limits.profilesMax,
    'too-many',
    `there are ${profiles.size} profiles, and profilesMax is ${limits.profilesMax}`,
  );
  const values = { ...command.params, ...command.secrets };
  const names = Object.keys(values);
  requireThat(
    names.length <= limits.profileParamsMax,
    'too-large',
    `profile ${profile} has ${names.length} params, and profileParamsMax is ${limits.profileParamsMax}`,
  );
  for (const [name, value] of Object.entries(values)) {
    requireThat(
      identifierPattern.test(name),
      'invalid',
      `${JSON.stringify(name)} is not a param name: letters, digits and underscores, not beginning with a digit`,
    );
    requireThat(
      utf8Length(JSON.stringify(value)) <= limits.jobInputsBytesMax,
      'too-large',
      `param ${name} is longer than ${limits.jobInputsBytesMax} bytes`,
    );
  }
  const params: Record<string, StoredValue> = {};
  for (const [name, value] of Object.entries(command.params))
    params[name] = turn.store(value, limits.jobInputInlineBytesMax);
  for (const [name, value] of Object.entries(command.secrets))
    params[name] = turn.conceal(`profile/${profile}/${name}/${turn.state.seq + 1}`, value);
  requireRoomForSecrets(turn, `of profile ${profile}`);
  turn.emit({ type: 'ProfileApplied', profile, priority, where, params, by });
}

export function removeProfile(turn: Turn, { profile, by }: CommandOf<'RemoveProfile'>): void {
  requireThat(
    turn.state.profiles.has(profile),
    'not-found',
    `no profile is named ${profile}: see lockstep profile list`,
  );
  turn.emit({ type: 'ProfileRemoved', profile, by });
}
