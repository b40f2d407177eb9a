/** What this machine is known by before it has a name: told with each greeting, so it is read without running programs. */
import { type Hardware, marksOf } from '../../shared/hardware.ts';
import { limits } from '../../shared/limits.ts';
import { HostFiles } from './host-files.ts';
import { readInterfaces } from './interfaces.ts';
import { readSystem } from './system.ts';

export function readHardware(host = new HostFiles()): Hardware {
  const { serial, uuid } = readSystem(host).value;
  const macs = readInterfaces(host).value.flatMap(({ mac }) =>
    mac === undefined || marksOf({ macs: [mac] }).length === 0 ? [] : [mac],
  );
  return {
    ...(serial === undefined ? {} : { serial }),
    ...(uuid === undefined ? {} : { uuid }),
    ...(macs.length === 0 ? {} : { macs: [...new Set(macs)].slice(0, limits.hardwareMacsMax) }),
  };
}
