/** Disks that something could be installed on: block devices with a device behind them, so no loops and no maps. */
import type { Facts } from '../../shared/facts.ts';
import type { HostFiles, Read } from './host-files.ts';

/** /sys counts in these whatever the device's own sector size is. */
const sectorBytes = 512;
const disksMax = 1_024;

export function readDisks(host: HostFiles): Read<Facts['disks']> {
  const names = host.list('sys/block').filter((name) => host.list(`sys/block/${name}/device`).length > 0);
  const disks = names.slice(0, disksMax).flatMap((name) => {
    const place = `sys/block/${name}`;
    const sectors = host.count(`${place}/size`) ?? 0;
    // A drive without a medium: an optical drive, an empty card reader.
    if (sectors === 0) return [];
    const model = host.text(`${place}/device/model`);
    const serial = host.text(`${place}/device/serial`) ?? host.text(`${place}/serial`);
    const wwn = host.text(`${place}/device/wwid`) ?? host.text(`${place}/wwid`);
    const rotational = host.text(`${place}/queue/rotational`);
    const removable = host.text(`${place}/removable`);
    return [
      {
        name,
        sizeBytes: sectors * sectorBytes,
        ...(model === undefined ? {} : { model }),
        ...(serial === undefined ? {} : { serial }),
        ...(wwn === undefined ? {} : { wwn }),
        rotational: rotational === '1',
        removable: removable === '1',
      },
    ];
  });
  return { value: disks };
}
