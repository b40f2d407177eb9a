/** Words that a report and a comparison of two have in common. */
import type { Report } from '../resources.ts';
import { formatBytes, formatDate } from './measures.ts';

export type Kind = NonNullable<Report['nodes'][number]['kind']>;

export const personOf = (by: string): string => by.replace(/^operator:/, '');

export const when = (time: string): string => formatDate(Date.parse(time));

export const valueText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/** What a node is, in the order in which people ask; each with its word. */
export const kindWord: { readonly [name in keyof Kind]: string } = {
  platform: 'platform',
  system: 'system',
  kernel: 'kernel',
  architecture: 'architecture',
  threads: 'CPUs',
  memoryBytes: 'memory',
  agent: 'agent',
};

export const kindNames = [
  'platform',
  'system',
  'kernel',
  'architecture',
  'threads',
  'memoryBytes',
  'agent',
] as const satisfies readonly (keyof Kind)[];

export function kindValue(kind: Kind, name: keyof Kind): string {
  const value = kind[name];
  if (value === null || value === '') return '-';
  return name === 'memoryBytes' ? formatBytes(Number(value)) : String(value);
}

/** `kernel 6.1.0-20 → 6.1.0-25, agent 0.1.0 → 0.2.0`; empty when they are the same. */
export const kindText = (a: Kind, b: Kind): string =>
  kindNames
    .filter((name) => a[name] !== b[name])
    .map((name) => `${kindWord[name]} ${kindValue(a, name)} → ${kindValue(b, name)}`)
    .join(', ');
