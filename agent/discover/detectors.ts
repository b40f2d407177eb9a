/** The table of detectors: each reads one part of the facts. A new one is a new file and one line here. */
import type { Facts } from '../../shared/facts.ts';
import { readCpu } from './cpu.ts';
import { readDisks } from './disks.ts';
import type { HostFiles, Read } from './host-files.ts';
import { readInterfaces } from './interfaces.ts';
import { readMemory } from './memory.ts';
import { readKernel, readOs } from './os.ts';
import { readSystem } from './system.ts';

export const detectors = {
  system: readSystem,
  cpu: readCpu,
  memory: readMemory,
  disks: readDisks,
  interfaces: readInterfaces,
  os: readOs,
  kernel: readKernel,
} as const satisfies { readonly [Part in keyof Facts]?: (host: HostFiles) => Read<Facts[Part]> };
