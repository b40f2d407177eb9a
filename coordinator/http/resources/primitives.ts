/** What the schemas of several resources are made of: times, names, pages, reasons. */
import * as z from 'zod';
import { digestPattern, identifierPattern, nodeNamePattern } from '../../../shared/ids.ts';
import { limits } from '../../../shared/limits.ts';

export const time = z.iso.datetime();
export const count = z.int().nonnegative();
export const text = z.string().max(1_024);
export const name = z.string().regex(nodeNamePattern);
export const digest = z.string().regex(digestPattern);
export const labelKey = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/,
    'not a label key: at most 63 letters, digits, dots, dashes, underscores and slashes',
  );
export const labelValue = z.string().max(253);
export const clusterName = z.string().regex(nodeNamePattern);
export const paramName = z
  .string()
  .regex(identifierPattern, 'not a name: at most 63 letters, digits and underscores, no digit first');
export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
/** Any JSON; zod's own recursive type cannot be drawn in OpenAPI. */
export const json = z.unknown();

export const paging = {
  limit: z.coerce.number().int().min(1).max(limits.pageSizeMax).default(limits.pageSizeDefault),
  cursor: z.string().max(1_024).optional(),
};
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable() });
export const reasonGiven = z.object({ reason: text.default('') });
