/** Processors as /proc/cpuinfo lists them, and their places from /sys where it does not say. */
import { availableParallelism, machine } from 'node:os';
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

export function readCpu(host: HostFiles): Read<Facts['cpu']> {
  const processors = (host.read('proc/cpuinfo') ?? '')
    .split('\n\n')
    .map(fieldsOf)
    .filter((fields) => fields.has('processor'));
  const places = processors.map((fields) => {
    const topology = `sys/devices/system/cpu/cpu${fields.get('processor')}/topology`;
    const socket = fields.get('physical id') ?? host.text(`${topology}/physical_package_id`) ?? '0';
    const core = fields.get('core id') ?? host.text(`${topology}/core_id`) ?? fields.get('processor') ?? '0';
    return { socket, core: `${socket}/${core}` };
  });
  const model = processors.map((fields) => fields.get('model name')).find((name) => name !== undefined);
  const threads = processors.length || availableParallelism();
  return {
    value: {
      architecture: machine(),
      sockets: new Set(places.map((place) => place.socket)).size || 1,
      cores: new Set(places.map((place) => place.core)).size || threads,
      threads,
      ...(model === undefined ? {} : { model: model.slice(0, 1_024) }),
    },
    ...(processors.length === 0 ? { unread: { 'cpu.sockets': '/proc/cpuinfo lists no processors' } } : {}),
  };
}

function fieldsOf(block: string): ReadonlyMap<string, string> {
  return new Map(
    block.split('\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]];
    }),
  );
}
