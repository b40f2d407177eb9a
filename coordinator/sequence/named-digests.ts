/**
 * Which blobs are named: by the state, by an event, by a text. What nothing names may be deleted. Texts are
 * searched rather than understood, so that a digest in a new field of an event is never overlooked.
 */

import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { Event } from '../core/events.ts';
import type { State } from '../core/state.ts';

export type NamedDigests = {
  readonly all: Set<string>;
  /** Those of bundle manifests and archived runs, which name others in their turn. */
  readonly naming: Set<string>;
};

export const nothingNamed = (): NamedDigests => ({ all: new Set(), naming: new Set() });

export function addFromText(named: NamedDigests, text: string): void {
  for (const [digest] of text.matchAll(/sha256:[0-9a-f]{64}/g)) named.all.add(digest);
}

export function addFromEvent(named: NamedDigests, event: Event): void {
  addFromText(named, JSON.stringify(event));
  if (event.type === 'RunCreated' || event.type === 'TriggerDeclared') addBundles(named, event.pipeline);
  if (event.type === 'RunArchived') named.naming.add(event.digest);
}

/** What names others; everything else in a state is found in the texts of its shards. */
export function addNamingFromState(named: NamedDigests, state: State): void {
  for (const { pipeline } of state.runs.values()) addBundles(named, pipeline);
  for (const { pipeline } of state.triggers.values()) addBundles(named, pipeline);
  for (const { digest } of state.archive.values()) named.naming.add(digest);
}

function addBundles(named: NamedDigests, pipeline: Pipeline): void {
  for (const { steps } of pipeline.units)
    for (const { tasks } of steps)
      for (const { bundle } of tasks) if (bundle !== undefined) named.naming.add(bundle);
}
