/** Network interfaces other than the loopback: those that /sys lists, with the addresses that the kernel gives. */
import { networkInterfaces } from 'node:os';
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

type Interface = Facts['interfaces'][number];

const loopback = 'lo';
const interfacesMax = 1_024;
const addressesMax = 256;

export function readInterfaces(host: HostFiles): Read<Facts['interfaces']> {
  const addresses = networkInterfaces();
  const listed = host.list('sys/class/net');
  // A container may be without /sys; then those with addresses are all that can be seen.
  const names = (listed.length > 0 ? listed : Object.keys(addresses)).filter((name) => name !== loopback);
  const value = names.slice(0, interfacesMax).map((name) => readInterface(host, name, addresses[name] ?? []));
  if (listed.length > 0) return { value };
  return {
    value,
    unread: { interfaces: '/sys/class/net is not there: only interfaces with addresses are known' },
  };
}

function readInterface(
  host: HostFiles,
  name: string,
  addresses: NonNullable<ReturnType<typeof networkInterfaces>[string]>,
): Interface {
  const place = `sys/class/net/${name}`;
  const [first] = addresses;
  const mac = host.read(`${place}/address`)?.trim() ?? first?.mac;
  const driver = host.linkName(`${place}/device/driver`);
  const mtu = host.count(`${place}/mtu`);
  // -1, or an error, where a link has no speed.
  const speedMbps = host.count(`${place}/speed`);
  return {
    name,
    up: host.read(`${place}/operstate`)?.trim() === 'up' || addresses.length > 0,
    addresses: addresses.slice(0, addressesMax).map(({ family, address, cidr }) => ({
      family: family === 'IPv6' ? 'ipv6' : 'ipv4',
      address,
      prefixLength: Number(cidr?.split('/')[1] ?? (family === 'IPv6' ? 128 : 32)),
    })),
    ...(mac === undefined || mac === '' ? {} : { mac }),
    ...(driver === undefined ? {} : { driver }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(speedMbps === undefined ? {} : { speedMbps }),
  };
}
