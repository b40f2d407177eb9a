/** `3` or `25%`: how many nodes, as a number or as a part of those in question. */
import type { Amount } from './model.ts';

export const percentPattern = /^(100|[1-9][0-9]?)%$/;

/** The schema has let only whole numbers and percentages through. */
export function parseAmount(amount: number | string): Amount {
  return typeof amount === 'number' ? { count: amount } : { percent: Number.parseInt(amount, 10) };
}
