/**
 * At which of its addresses a node is reached from another one, as far as both told where they are: in a subnet
 * of the other's first, else by a family that the other has. What translates addresses on the way is not known.
 */
import { limits } from '../limits.ts';
import { ScopeError } from './scope.ts';

type Family = 'ipv4' | 'ipv6';
type Address = {
  readonly text: string;
  readonly family: Family;
  readonly bits: bigint;
  /** Null where it is not known which part names the network. */
  readonly prefixLength: number | null;
};

const bitsOf: Readonly<Record<Family, bigint>> = { ipv4: 32n, ipv6: 128n };

export function addressOf(node: unknown, from?: unknown): string {
  const { name, known, all } = placeOf(node);
  const other = from === undefined ? undefined : placeOf(from);
  if (other === undefined || other.name === name || other.all.length === 0) {
    if (known !== undefined) return known;
    throw new ScopeError(`node ${name} has no address that is known to the coordinator`);
  }
  // What both have alike, such as the address of a bridge that every host makes for itself, leads back to where one is.
  const theirs = new Set(other.all.map(({ text }) => text));
  const candidates = all.filter(({ text }) => !theirs.has(text));
  for (const origin of other.all)
    for (const candidate of candidates) if (isInSubnetOf(candidate, origin)) return candidate.text;
  for (const { family } of other.all)
    for (const candidate of candidates) if (candidate.family === family) return candidate.text;
  const families = [...new Set(other.all.map(({ family }) => family))].join(' or ');
  throw new ScopeError(`node ${name} has no ${families} address that ${other.name} could reach`);
}

/** Each address of the one is held against each of the other, and an address is some operations long. */
export const costOfAddress = (node: unknown, from: unknown): number =>
  4 * placeOf(node).all.length * placeOf(from).all.length;

type Place = { readonly name: string; readonly known: string | undefined; readonly all: readonly Address[] };

/** The address of the node's connection first, then those of its interfaces in their order. */
function placeOf(node: unknown): Place {
  const name: unknown = node instanceof Map ? node.get('name') : undefined;
  if (!(node instanceof Map) || typeof name !== 'string') {
    throw new ScopeError(
      'addressOf() needs a node, such as roles.NAME.leader or an element of roles.NAME.nodes',
    );
  }
  const address: unknown = node.get('address');
  const known = typeof address === 'string' && address !== '' ? address : undefined;
  const facts: unknown = node.get('facts');
  const own = addressesIn(facts instanceof Map ? facts.get('interfaces') : undefined);
  if (known === undefined) return { name, known, all: own };
  const listed = own.find(({ text }) => text === known) ?? parseAddress(known, null);
  const others = own.filter(({ text }) => text !== known);
  return { name, known, all: listed === undefined ? others : [listed, ...others] };
}

/** Facts are shared by all scopes that show them, and so is what was made of them. */
const remembered = new WeakMap<object, readonly Address[]>();

/** Of interfaces that are up, without those that mean something on one link or host alone. */
function addressesIn(interfaces: unknown): readonly Address[] {
  if (!Array.isArray(interfaces)) return [];
  const made = remembered.get(interfaces);
  if (made !== undefined) return made;
  const addresses: Address[] = [];
  for (const each of interfaces) {
    const listed: unknown =
      each instanceof Map && each.get('up') === true ? each.get('addresses') : undefined;
    for (const entry of Array.isArray(listed) ? listed : []) {
      if (!(entry instanceof Map)) continue;
      const length = Number(entry.get('prefixLength'));
      const parsed = parseAddress(String(entry.get('address')), length > 0 ? length : null);
      if (parsed !== undefined && !isLocal(parsed)) addresses.push(parsed);
      if (addresses.length === limits.addressesComparedMax) break;
    }
  }
  const kept = addresses.slice(0, limits.addressesComparedMax);
  remembered.set(interfaces, kept);
  return kept;
}

const subnetOf = ({ family, bits }: Address, length: number): bigint =>
  bits >> (bitsOf[family] - BigInt(length));

/** Whether the origin reaches it without a router. */
const isInSubnetOf = (candidate: Address, origin: Address): boolean =>
  candidate.family === origin.family &&
  origin.prefixLength !== null &&
  subnetOf(candidate, origin.prefixLength) === subnetOf(origin, origin.prefixLength);

/** 127.0.0.0/8 and 169.254.0.0/16, ::1 and fe80::/10: RFC 6890. */
function isLocal(address: Address): boolean {
  if (address.family === 'ipv4') return subnetOf(address, 8) === 127n || subnetOf(address, 16) === 0xa9fen;
  return address.bits === 1n || subnetOf(address, 10) === 0x3fan;
}

function parseAddress(text: string, prefixLength: number | null): Address | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1] ?? text;
  const family = mapped.includes(':') ? 'ipv6' : 'ipv4';
  const bits = family === 'ipv6' ? bitsOfIpv6(mapped) : joinParts(mapped.split('.'), 4, 10, 8n);
  if (bits === undefined || (prefixLength ?? 0) > bitsOf[family]) return undefined;
  return { text, family, bits, prefixLength };
}

/** RFC 4291, section 2.2, without an IPv4 address at the end. */
function bitsOfIpv6(text: string): bigint | undefined {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  if (tail === undefined) return joinParts(groups(head), 8, 16, 16n);
  const missing = 8 - groups(head).length - groups(tail).length;
  if (missing < 1) return undefined;
  return joinParts([...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)], 8, 16, 16n);
}

function joinParts(
  parts: readonly string[],
  count: number,
  radix: 10 | 16,
  width: bigint,
): bigint | undefined {
  if (parts.length !== count) return undefined;
  const digits = radix === 10 ? /^\d{1,3}$/ : /^[0-9a-f]{1,4}$/i;
  let bits = 0n;
  for (const part of parts) {
    const value = BigInt(Number.parseInt(part, radix));
    if (!digits.test(part) || value >> width !== 0n) return undefined;
    bits = (bits << width) | value;
  }
  return bits;
}
