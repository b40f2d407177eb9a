/** What the kernel has to give out: installed memory less what firmware and kernel keep for themselves. */
import { totalmem } from 'node:os';
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

export function readMemory(host: HostFiles): Read<Facts['memory']> {
  const kibibytes = /^MemTotal:\s+([0-9]+) kB$/m.exec(host.read('proc/meminfo') ?? '')?.[1];
  return { value: { totalBytes: kibibytes === undefined ? totalmem() : Number(kibibytes) * 1024 } };
}
