/** Facts of made-up hosts, of the size that a two-socket server with a few disks has (about 2 KB of JSON). */
import { createHash } from 'node:crypto';
import type { Facts } from '../../shared/facts.ts';

const hex = (name: string, what: string, length: number): string =>
  createHash('sha256').update(`${what} of ${name}`).digest('hex').slice(0, length);

const macOf = (name: string, index: number): string =>
  `02:${(hex(name, `interface ${index}`, 10).match(/../g) ?? []).join(':')}`;

export function hostFacts(name: string, number: number) {
  const place = `${(number >> 8) & 255}.${number & 255}`;
  return {
    hostname: name,
    machineId: hex(name, 'machine', 32),
    bootId: hex(name, 'boot', 32),
    system: {
      vendor: 'Example Computers',
      product: 'Rack Server 2U',
      version: 'Not Specified',
      serial: hex(name, 'serial', 7).toUpperCase(),
      uuid: hex(name, 'uuid', 32),
      chassis: 'Rack Mount Chassis',
      bios: '2.17.1 11/15/2025',
    },
    cpu: {
      architecture: 'x86_64',
      model: 'Example 7543 32-Core Processor',
      sockets: 2,
      cores: 64,
      threads: 128,
    },
    memory: { totalBytes: 540_940_431_360 },
    disks: Array.from({ length: 6 }, (_, index) => ({
      name: `nvme${index}n1`,
      sizeBytes: 3_840_755_982_336,
      model: 'Example Enterprise NVMe 3.84TB',
      serial: hex(name, `disk ${index}`, 14).toUpperCase(),
      wwn: `eui.${hex(name, `wwn ${index}`, 16)}`,
      rotational: false,
      removable: false,
    })),
    interfaces: [
      {
        name: 'lo',
        mtu: 65_536,
        up: true,
        addresses: [{ family: 'ipv4', address: '127.0.0.1', prefixLength: 8 }],
      },
      ...Array.from({ length: 4 }, (_, index) => ({
        name: `eno${index + 1}`,
        mac: macOf(name, index),
        driver: 'mlx5_core',
        mtu: 9_000,
        speedMbps: 25_000,
        up: index < 2,
        addresses:
          index < 2
            ? [
                { family: 'ipv4' as const, address: `10.${index}.${place}`, prefixLength: 16 },
                {
                  family: 'ipv6' as const,
                  address: `fd00:${index}::${number.toString(16)}`,
                  prefixLength: 64,
                },
              ]
            : [],
      })),
    ],
    os: { id: 'debian', version: '12', name: 'Debian GNU/Linux 12 (bookworm)' },
    kernel: { release: '6.1.0-32-amd64', version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.129-1' },
  } satisfies Facts;
}
