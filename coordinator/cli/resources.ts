/** The API's resources as types, in the words of the vocabulary; their schemas are the server's. */
import type * as z from 'zod';
import type * as resources from '../http/resources.ts';

export type Node = z.infer<typeof resources.node>;
export type Run = z.infer<typeof resources.run>;
export type RunListed = z.infer<typeof resources.runListed>;
export type RunState = Run['state'];
export type Unit = Run['units'][number];
export type Job = z.infer<typeof resources.job>;
export type Report = z.infer<typeof resources.report>;
export type JobState = Job['state'];
export type Explanation = z.infer<typeof resources.explanation>;
export type Plan = z.infer<typeof resources.plan>;
export type LogChunk = z.infer<typeof resources.logChunk>;
export type JournalEvent = z.infer<typeof resources.event>;
export type Submission = z.input<typeof resources.submission>;
