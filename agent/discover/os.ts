/** The operating system by its own word (os-release(5)), and the kernel under it. */
import { release } from 'node:os';
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

export function readOs(host: HostFiles): Read<Facts['os']> {
  const text = host.read('etc/os-release') ?? host.read('usr/lib/os-release');
  // os-release(5): "linux" is what a system without an ID is.
  if (text === undefined)
    return { value: { id: 'linux', name: 'Linux' }, unread: { os: 'there is no os-release file' } };
  const fields = new Map(
    [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, unquoted(value)]),
  );
  const version = fields.get('VERSION_ID');
  return {
    value: {
      id: fields.get('ID') ?? 'linux',
      name: fields.get('PRETTY_NAME') ?? fields.get('NAME') ?? 'Linux',
      ...(version === undefined ? {} : { version }),
    },
  };
}

/** Values are quoted as a shell would have them. */
function unquoted(value: string): string {
  const [, inner = value.trim()] =
    /^(?:"(.*)"|'(.*)')$/.exec(value.trim())?.filter((part) => part !== undefined) ?? [];
  return inner.replaceAll(/\\(["'$`\\])/g, '$1').slice(0, 1_024);
}

export function readKernel(host: HostFiles): Read<Facts['kernel']> {
  const version = host.text('proc/sys/kernel/version');
  return {
    value: {
      release: host.text('proc/sys/kernel/osrelease') ?? release(),
      ...(version === undefined ? {} : { version }),
    },
  };
}
