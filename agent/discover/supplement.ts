/**
 * What /sys and /proc did not give is asked of systeminformation, which runs programs and knows more odd
 * platforms. Only for what is missing, once per process, never on a timer and never before the agent is
 * linked: its calls take from tenths of a second to seconds. `networkInterfaces` (blocks) and `getStaticData`
 * are never called.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Facts } from '../../shared/facts.ts';
import { limits } from '../../shared/limits.ts';

type Library = typeof import('systeminformation');
type Gap = {
  readonly isOpen: (facts: Facts) => boolean;
  readonly close: (facts: Facts, library: Library) => Promise<Facts>;
};

const known = (text: string | undefined): string | undefined =>
  text === undefined || /^(unknown|default string|-)?$/i.test(text.trim())
    ? undefined
    : text.trim().slice(0, 1_024);

const gaps: readonly Gap[] = [
  {
    isOpen: ({ system }) => system.vendor === undefined || system.product === undefined,
    close: async (facts, library) => {
      const found = await library.system();
      const vendor = facts.system.vendor ?? known(found.manufacturer);
      const product = facts.system.product ?? known(found.model);
      const more = {
        ...(vendor === undefined ? {} : { vendor }),
        ...(product === undefined ? {} : { product }),
      };
      return { ...facts, system: { ...facts.system, ...more } };
    },
  },
  {
    isOpen: ({ cpu }) => cpu.model === undefined,
    close: async (facts, library) => {
      const { manufacturer, brand } = await library.cpu();
      const model = known(`${manufacturer} ${brand}`);
      return model === undefined ? facts : { ...facts, cpu: { ...facts.cpu, model } };
    },
  },
  {
    isOpen: ({ unread }) => unread?.os !== undefined,
    close: async (facts, library) => {
      const { distro, release } = await library.osInfo();
      const name = known(distro);
      return name === undefined
        ? facts
        : { ...facts, os: { ...facts.os, name: `${name} ${release}`.trim().slice(0, 1_024) } };
    },
  },
];

export const hasGaps = (facts: Facts): boolean => gaps.some((gap) => gap.isOpen(facts));

/** The same facts, with some of the gaps closed. Never rejects: a supplement is not worth a failure. */
export async function supplement(facts: Facts): Promise<Facts> {
  const library = await import('systeminformation');
  let fuller = facts;
  for (const gap of gaps) {
    if (!gap.isOpen(fuller)) continue;
    const closed = gap.close(fuller, library).catch(() => fuller);
    const impatience = new AbortController();
    const late = sleep(limits.factsWaitMs, fuller, { signal: impatience.signal, ref: false }).catch(
      () => fuller,
    );
    fuller = await Promise.race([closed, late]);
    impatience.abort();
  }
  return withoutClosed(fuller);
}

/** What is here by now is not unread any more. */
function withoutClosed({ unread, ...facts }: Facts): Facts {
  const open = Object.entries(unread ?? {}).filter(
    ([name]) => name !== 'system.vendor' || facts.system.vendor === undefined,
  );
  return open.length === 0 ? facts : { ...facts, unread: Object.fromEntries(open) };
}
