/**
 * Which stored secrets nothing can ask for any more, by the state. The journal goes on naming them; no job is
 * sent with them again, and nobody is shown a secret.
 */
import type { Run, State } from '../core/state.ts';

/** Secrets of runs: `r17/param/token`, `r17/join/n1#1/with/token`. */
const ofRun = /^(r(\d+))\//;

/** Secrets with the seq at which they were made: `param/node/n1/token/412`, `generated/…/412`, and so on. */
const ofSetting = /^(?:param|generated|receiver|trigger|profile)\/.*\/(\d+)$/;

/**
 * `references` are those that were stored before `state` was read. The state may be behind them: one that was made
 * after it may be named by an event that it does not know yet.
 */
export function staleSecrets(references: Iterable<string>, state: State): readonly string[] {
  const stale: string[] = [];
  const unset: string[] = [];
  const settings = referencesOfSettings(state);
  for (const reference of references) {
    const [, run = '', number] = ofRun.exec(reference) ?? [];
    const [, seq] = ofSetting.exec(reference) ?? [];
    if (Number(number) <= state.runsCreated && !state.activeRuns.has(run)) stale.push(reference);
    else if (Number(seq) <= state.seq && !settings.has(reference)) unset.push(reference);
  }
  if (unset.length === 0) return stale;
  const used = new Set<string>();
  for (const run of state.activeRuns.values()) addReferencesOfRun(run, used);
  return [...stale, ...unset.filter((reference) => !used.has(reference))];
}

function referencesOfSettings(state: State): ReadonlySet<string> {
  const references = new Set<string>();
  const layers = [...state.clusterParams.values(), ...[...state.nodes.values()].map(({ params }) => params)];
  for (const params of layers)
    for (const stored of params.values()) if ('secret' in stored) references.add(stored.secret);
  for (const { target } of state.receivers.values())
    if (target.kind === 'webhook') references.add(target.secret);
  for (const { params } of [...state.triggers.values(), ...state.profiles.values()])
    for (const stored of Object.values(params)) if ('secret' in stored) references.add(stored.secret);
  return references;
}

/** A run keeps the values that it was created with, and a job those that it was granted with. */
function addReferencesOfRun({ params, steps }: Run, references: Set<string>): void {
  for (const { value } of Object.values(params)) if ('secret' in value) references.add(value.secret);
  for (const { jobs } of steps)
    for (const { grant } of jobs.values())
      for (const stored of Object.values(grant?.inputs ?? {}))
        if ('secret' in stored) references.add(stored.secret);
}
