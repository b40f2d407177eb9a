/**
 * Which proxy leads to a coordinator, by the variables that other programs go by: HTTPS_PROXY, HTTP_PROXY and
 * NO_PROXY, in small letters too, which come first. Pure. Loopback never goes through a proxy, as in Go: a
 * proxy cannot mean this host.
 */
import { BlockList, isIP } from 'node:net';
import { LockstepError } from '../../shared/errors.ts';

export type HttpProxy = {
  /** Without user and password, so that it can be shown. */
  readonly url: URL;
  /** The value of `Proxy-Authorization`. */
  readonly authorization: string | null;
};

export type Proxies = {
  readonly http: HttpProxy | null;
  readonly https: HttpProxy | null;
  /** Whether this host and port are reached without one. */
  readonly isDirect: (host: string, port: number) => boolean;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `usage` for a proxy that is none. */
export function readProxies(environment: Environment): Proxies {
  const read = (name: string): string => environment[name.toLowerCase()] || environment[name] || '';
  return {
    http: parseProxy('HTTP_PROXY', read('HTTP_PROXY')),
    https: parseProxy('HTTPS_PROXY', read('HTTPS_PROXY')),
    isDirect: directHosts(read('NO_PROXY')),
  };
}

export function proxyFor(url: URL, { http, https, isDirect }: Proxies): HttpProxy | null {
  const proxy = url.protocol === 'https:' ? https : http;
  return proxy === null || isDirect(hostOf(url), portOf(url)) ? null : proxy;
}

/** Without the brackets of an IPv6 address. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

export const portOf = ({ port, protocol }: URL): number =>
  port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);

function parseProxy(variable: string, text: string): HttpProxy | null {
  if (text === '') return null;
  const whole = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    // The text itself may hold a password.
    throw new LockstepError(
      'usage',
      `${variable} is not the URL of an HTTP proxy, such as http://user:password@10.0.0.1:3128`,
    );
  }
  const { username, password } = url;
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    url: new URL(`${url.protocol}//${url.host}`),
    authorization: username === '' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}

/** `*`, names with all that is under them, addresses, networks such as 10.0.0.0/8; each with a port or not. */
function directHosts(text: string): Proxies['isDirect'] {
  const networks = new BlockList();
  networks.addSubnet('127.0.0.0', 8, 'ipv4');
  networks.addAddress('::1', 'ipv6');
  const names: { readonly name: string; readonly port: number | null }[] = [
    { name: 'localhost', port: null },
  ];
  for (const entry of text.toLowerCase().split(/[\s,]+/)) {
    if (entry === '' || addNetwork(networks, entry)) continue;
    const [, name = '', port] = /^\[?(.*?)\]?(?::([0-9]{1,5}))?$/.exec(entry) ?? [];
    names.push({ name: name.replace(/^\*?\./, ''), port: port === undefined ? null : Number(port) });
  }
  return (host, port) => {
    const family = isIP(host);
    if (family !== 0 && networks.check(host, family === 6 ? 'ipv6' : 'ipv4')) return true;
    return names.some(
      (one) =>
        (one.port === null || one.port === port) &&
        (one.name === '*' || one.name === host || (family === 0 && host.endsWith(`.${one.name}`))),
    );
  };
}

function addNetwork(networks: BlockList, entry: string): boolean {
  const [address = '', prefix, ...rest] = entry.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  const bits = family === 6 ? 128 : 32;
  const length = prefix === undefined ? bits : Number(prefix);
  if (!Number.isInteger(length) || length < 0 || length > bits) return false;
  networks.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4');
  return true;
}
