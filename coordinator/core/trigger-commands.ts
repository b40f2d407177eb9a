/** Declaring what starts runs by itself, taking that back, and starting at once what would start later. */
import { faultOfCron, nextTime } from '../../shared/cron.ts';
import { nodeNamePattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { requireRoomForSecrets, requireThat } from './administration.ts';
import type { TriggerCommand } from './commands.ts';
import { faultsOfParams, keepGenerated } from './create-run.ts';
import type { StoredValue } from './event-values.ts';
import { compareNames } from './order.ts';
import { faultsOfSelector, joinsNow, startRun } from './triggering.ts';
import type { TriggerCause, TriggerState } from './triggers.ts';
import { Rejection, type Turn } from './turn.ts';

type CommandOf<T extends TriggerCommand['type']> = Extract<TriggerCommand, { type: T }>;

export function changeTriggers(turn: Turn, command: TriggerCommand): void {
  switch (command.type) {
    case 'DeclareTrigger':
      declareTrigger(turn, command);
      return;
    case 'RemoveTrigger':
      requireTrigger(turn, command.trigger);
      turn.emit({ type: 'TriggerRemoved', trigger: command.trigger, by: command.by });
      return;
    case 'FireTrigger': {
      const trigger = requireTrigger(turn, command.trigger);
      const started = startRun(turn, trigger, `${command.by} asked for it`);
      if (!started.ok) throw new Rejection(started.error.code, started.error.message);
      return;
    }
    case 'MeetTrigger': {
      const trigger = requireTrigger(turn, command.trigger);
      if (trigger.pending !== null) return;
      turn.emit({
        type: 'TriggerMatched',
        trigger: trigger.trigger,
        from: null,
        what: 'its webhook was called',
      });
      return;
    }
  }
}

function requireTrigger({ state }: Turn, name: string): TriggerState {
  const trigger = state.triggers.get(name);
  if (trigger === undefined)
    throw new Rejection('not-found', `no trigger is named ${name}: see lockstep trigger list`);
  return trigger;
}

function declareTrigger(turn: Turn, command: CommandOf<'DeclareTrigger'>): void {
  const { trigger, on, atMostEveryMs, onlyNew, starts } = command;
  const { state } = turn;
  requireThat(
    nodeNamePattern.test(trigger),
    'invalid',
    `${JSON.stringify(trigger)} is not a name: small letters, digits, dots and dashes`,
  );
  requireThat(
    !state.triggers.has(trigger),
    'conflict',
    `a trigger named ${trigger} is there already: take it away first with lockstep trigger rm ${trigger}`,
  );
  requireThat(
    state.triggers.size < limits.triggersMax,
    'too-many',
    `there are ${state.triggers.size} triggers, and triggersMax is ${limits.triggersMax}`,
  );
  const fault = faultOfCause(on);
  if (fault !== undefined) throw new Rejection('invalid', fault);
  requireThat(!onlyNew || on.kind === 'join', 'invalid', 'only a trigger of nodes that join has new ones');
  const { cluster, pipeline, limit, checkOnly, by } = starts;
  requireThat((starts.from ?? null) === null, 'invalid', 'what a trigger starts begins with its first step');
  const faults = faultsOfParams(state, starts, turn.lookup);
  if (faults.length > 0) throw new Rejection('invalid', faults.join('\n'));
  const params: Record<string, StoredValue> = {};
  for (const [name, value] of Object.entries(starts.params))
    params[name] =
      pipeline.params[name]?.secret === true
        ? turn.conceal(`trigger/${trigger}/${name}/${state.seq + 1}`, value)
        : turn.store(value, limits.jobInputInlineBytesMax);
  requireRoomForSecrets(turn, `params of trigger ${trigger}`);
  keepGenerated(turn, starts);
  const there = [...state.nodes.values()].filter((node) => joinsNow(turn, { on, cluster }, node));
  turn.emit({
    type: 'TriggerDeclared',
    ...{ trigger, on, atMostEveryMs, cluster, pipeline, params, limit, checkOnly, onlyNew, by },
    nextAt: on.kind === 'cron' ? nextTime(on, turn.at) : null,
    joined: there.map(({ name }) => name).sort(compareNames),
  });
}

function faultOfCause(on: TriggerCause): string | undefined {
  if (on.kind === 'cron') return faultOfCron(on);
  return on.kind === 'join' ? faultsOfSelector(on.where) : undefined;
}
