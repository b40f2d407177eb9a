/**
 * The whole core behind three functions, which is all that the rest of the coordinator may call:
 *
 *   execute(state, command, at, lookup)   one command: events, effects, or a typed rejection
 *   progress(state, at, lookup, bound)    what follows by itself: grants, slots, ends, holds; in bounded bites
 *   evolve(state, event)                  one event read back from the journal
 *
 * `execute` and `progress` evolve the state as they emit, so the state is always ahead of the disk; nothing
 * they return (effects, replies, reads) may leave before the last of their events is durable.
 */
export { emptyState } from './empty.ts';
export { evolve } from './evolve.ts';
export { execute } from './execute.ts';
export { progress } from './progress.ts';
