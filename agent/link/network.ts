/**
 * What the kernel says about the network, and what a change of it means for the link. Pure: text in, decision
 * out. The formats are those of proc(5), /proc/net/route and /proc/net/ipv6_route, and if_inet6 of the kernel's
 * net/ipv6/addrconf.c.
 */

/** As it was read, once. */
export type NetworkTexts = {
  /** Of interfaces that are up and have a carrier. */
  readonly addresses: readonly string[];
  readonly route: string;
  readonly ipv6Route: string;
  readonly ifInet6: string;
};

export type NetworkView = {
  readonly addresses: ReadonlySet<string>;
  readonly defaultRoutes: ReadonlySet<string>;
  /** All of the above, other routes, and IPv6 addresses that are ready for use. */
  readonly all: ReadonlySet<string>;
};

export type Reaction =
  /** The link is down, and there may be a way now that there was not. */
  | 'reconnect'
  /** The link is up, and may have lost its way. */
  | 'probe'
  | 'nothing';

/** Bits of the last columns: of a route that refuses, and of an address that may still turn out to be taken. */
const rejects = 0x0200;
const tentative = 0x40;

export function viewNetwork({ addresses, route, ipv6Route, ifInet6 }: NetworkTexts): NetworkView {
  const routes = [...ipv4Routes(route), ...ipv6Routes(ipv6Route)];
  const defaultRoutes = routes.filter(({ isDefault }) => isDefault).map(({ text }) => text);
  return {
    addresses: new Set(addresses),
    defaultRoutes: new Set(defaultRoutes),
    all: new Set([...addresses, ...routes.map(({ text }) => text), ...readyAddresses(ifInet6)]),
  };
}

/** `localAddress` is that of the link; null while there is none. */
export function reactionTo(
  before: NetworkView,
  after: NetworkView,
  isUp: boolean,
  localAddress: string | null,
): Reaction {
  if (!isUp) return isSubset(after.all, before.all) ? 'nothing' : 'reconnect';
  const isMoved =
    !isSubset(after.defaultRoutes, before.defaultRoutes) ||
    !isSubset(before.defaultRoutes, after.defaultRoutes);
  const lostAddress =
    localAddress !== null && before.addresses.has(localAddress) && !after.addresses.has(localAddress);
  return isMoved || lostAddress ? 'probe' : 'nothing';
}

type Route = { readonly text: string; readonly isDefault: boolean };

const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => row.length > 1);

function ipv4Routes(text: string): Route[] {
  return rowsOf(text)
    .filter(([device]) => device !== 'Iface' && device !== 'lo')
    .map(([device = '', destination = '', gateway = '', , , , , mask = '']) => ({
      text: `${destination}/${mask} ${gateway} ${device}`,
      isDefault: Number(`0x${destination}`) === 0 && Number(`0x${mask}`) === 0,
    }));
}

function ipv6Routes(text: string): Route[] {
  return rowsOf(text)
    .filter((row) => row.length === 10 && row[9] !== 'lo' && (Number(`0x${row[8]}`) & rejects) === 0)
    .map(([destination = '', prefix = '', , , gateway = '', , , , , device = '']) => ({
      text: `${destination}/${prefix} ${gateway} ${device}`,
      isDefault: prefix === '00' && /^0+$/.test(destination),
    }));
}

function readyAddresses(text: string): string[] {
  return rowsOf(text)
    .filter((row) => row.length === 6 && row[5] !== 'lo' && (Number(`0x${row[4]}`) & tentative) === 0)
    .map(([address = '', , , , , device = '']) => `${address} ${device}`);
}

function isSubset(part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean {
  for (const one of part) if (!whole.has(one)) return false;
  return true;
}
