/**
 * What the words of the language are made of: names, durations, amounts, scripts and expressions. `error` texts
 * complete the sentence "expected …".
 */
import * as z from 'zod';
import { identifierPattern, stepNamePattern } from '../ids.ts';
import { percentPattern } from './amount.ts';
import { durationExample, durationPattern } from './duration.ts';

export const labelKeyPattern = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/;
export const usesPattern = /^([a-z][a-z0-9-]*)\/([a-z][a-z0-9-]*)@(\S+)$/;

export const stepName = z
  .string()
  .regex(stepNamePattern, { error: 'small letters, digits and "-", beginning with a letter, at most 63' });
export const identifier = z
  .string()
  .regex(identifierPattern, { error: 'letters, digits and "_", not beginning with a digit, at most 63' });
export const labelKey = z
  .string()
  .regex(labelKeyPattern, { error: 'the key of a label, such as rack or site' });
export const duration = z
  .string()
  .regex(durationPattern, { error: durationExample })
  .meta({ title: 'duration' });
export const words = z.string().min(1).max(1_024);
export const script = z.string().min(1).meta({ title: 'script' });
export const expression = z.string().min(1).meta({ title: 'expression' });
export const amount = z.union([
  z.int().min(0),
  z
    .string()
    .regex(percentPattern, { error: 'a number, or a percentage from 1% to 100%' })
    .meta({ title: 'percentage' }),
]);
export const oneOrMany = <T extends z.ZodType>(schema: T) => z.union([schema, z.array(schema).min(1)]);

export const about = <T extends z.ZodType>(schema: T, description: string): T => schema.describe(description);

export const title = about(words.optional(), 'A short name for people.');
export const description = about(
  z.string().max(10_000).optional(),
  'What it is for, in as many words as it takes.',
);
