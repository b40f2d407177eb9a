/**
 * What a machine is known by before it has a name: the serial number and the UUID of its board, the MAC addresses
 * of its interfaces. What firmware writes for "nothing" is no identity, since many machines share it.
 */
import * as z from 'zod';
import { limits } from './limits.ts';

const text = z.string().max(1_024);

/** As an agent tells it. A value that only root may read can be absent. */
export const hardwareSchema = z.object({
  serial: text.optional(),
  uuid: text.optional(),
  macs: z.array(z.string().max(64)).max(limits.hardwareMacsMax).optional(),
});
export type Hardware = z.infer<typeof hardwareSchema>;

/** One thing that names a machine, as keys of indexes and sentences have it: `serial ABC123`. */
export type Mark = `${'serial' | 'uuid' | 'mac'} ${string}`;

/** What vendors leave in DMI where a value belongs. */
export const isFiller = (text: string): boolean =>
  text === '' ||
  /^(none|unknown|default string|not (specified|applicable|available|settable)|n\/a|to be filled by o\.?e\.?m\.?|system (serial number|product name|manufacturer|version)|0+|x+|\.+)$/i.test(
    text,
  );

const isFillerSerial = (text: string): boolean =>
  isFiller(text) ||
  /^(?<one>.)\k<one>*$/.test(text) ||
  /^(empty|invalid|null|oem|(chassis|(base ?)?board|product)?[ -]?serial([ -]?number)?|0?1234567(8(90?)?)?)$/i.test(
    text,
  );

/** Boards of different makes come with these. */
const fillerUuids: ReadonlySet<string> = new Set([
  '03000200-0400-0500-0006-000700080009',
  '12345678-1234-5678-90ab-cddeefaabbcc',
]);

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** As it is compared, or undefined when it names no machine. Case and spaces around do not count. */
export function readSerial(text: string): string | undefined {
  const serial = text.trim().toUpperCase();
  return isFillerSerial(serial) ? undefined : serial;
}

export function readUuid(text: string): string | undefined {
  const uuid = text.trim().toLowerCase();
  if (!uuidPattern.test(uuid) || /^(.)\1*$/.test(uuid.replaceAll('-', ''))) return undefined;
  return fillerUuids.has(uuid) ? undefined : uuid;
}

/** Written with colons, dashes, dots or nothing between; neither zero nor an address of groups. */
export function readMac(text: string): string | undefined {
  const digits = text.trim().toLowerCase().replaceAll(/[:.-]/g, '');
  if (digits.length !== 12) return undefined;
  const mac = digits.replaceAll(/(..)(?=.)/g, '$1:');
  const isGroup = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  return macPattern.test(mac) && !isGroup && mac !== '00:00:00:00:00:00' ? mac : undefined;
}

/** All that names the machine. */
export function marksOf({ serial, uuid, macs = [] }: Hardware): readonly Mark[] {
  const own = serial === undefined ? undefined : readSerial(serial);
  const board = uuid === undefined ? undefined : readUuid(uuid);
  return [
    ...(own === undefined ? [] : [`serial ${own}` as const]),
    ...(board === undefined ? [] : [`uuid ${board}` as const]),
    ...macs.flatMap((text): Mark[] => {
      const mac = readMac(text);
      return mac === undefined ? [] : [`mac ${mac}`];
    }),
  ];
}

const kindOf = (mark: Mark): string => mark.slice(0, mark.indexOf(' '));

/**
 * Whether both are one machine: one mark in common says yes; marks of the same kind and none in common say no;
 * else nobody can tell.
 */
export function compareMachines(a: readonly Mark[], b: readonly Mark[]): 'same' | 'other' | 'unknown' {
  if (a.some((mark) => b.includes(mark))) return 'same';
  const kinds = new Set(a.map(kindOf));
  return b.some((mark) => kinds.has(kindOf(mark))) ? 'other' : 'unknown';
}
