/** Who made the machine: DMI where there is firmware that tells, the device tree elsewhere. */
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

const dmi = 'sys/class/dmi/id';

/** SMBIOS 3.6, table 17, the kinds that hosts have; others keep their number. */
const chassisKinds: Readonly<Record<string, string>> = {
  1: 'other',
  3: 'desktop',
  4: 'desktop',
  6: 'tower',
  7: 'tower',
  8: 'laptop',
  9: 'laptop',
  10: 'laptop',
  13: 'all-in-one',
  17: 'server',
  23: 'server',
  25: 'server',
  28: 'blade',
  29: 'blade-enclosure',
  31: 'convertible',
  34: 'embedded',
  35: 'mini',
  36: 'stick',
};

export function readSystem(host: HostFiles): Read<Facts['system']> {
  if (host.list(dmi).length === 0) return readDeviceTree(host);
  const kind = host.text(`${dmi}/chassis_type`);
  const bios = [host.text(`${dmi}/bios_vendor`), host.text(`${dmi}/bios_version`)].filter(Boolean).join(' ');
  const value = defined({
    vendor: host.text(`${dmi}/sys_vendor`),
    product: host.text(`${dmi}/product_name`),
    version: host.text(`${dmi}/product_version`),
    serial: host.text(`${dmi}/product_serial`),
    uuid: host.text(`${dmi}/product_uuid`)?.toLowerCase(),
    chassis: kind === undefined ? undefined : (chassisKinds[kind] ?? kind),
    bios: bios === '' ? undefined : bios,
  });
  if (process.getuid?.() === 0) return { value };
  return {
    value,
    unread: { 'system.serial': 'only root can read it', 'system.uuid': 'only root can read it' },
  };
}

function readDeviceTree(host: HostFiles): Read<Facts['system']> {
  const value = defined({
    product: host.text('proc/device-tree/model'),
    serial: host.text('proc/device-tree/serial-number'),
  });
  return { value, unread: { 'system.vendor': 'the host has no DMI tables' } };
}

/** Without the keys whose value is undefined: absent means unknown. */
function defined<T extends Record<string, string | undefined>>(values: T): { [Key in keyof T]?: string } {
  const result: { [Key in keyof T]?: string } = {};
  for (const key in values) {
    const value = values[key];
    if (value !== undefined) result[key] = value;
  }
  return result;
}
