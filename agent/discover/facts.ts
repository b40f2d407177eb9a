/** Reads the facts of this host: the table of detectors, put together, within the bounds of the wire. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { canonicalJson } from '../../shared/canonical-json.ts';
import { type Facts, factsSchema } from '../../shared/facts.ts';
import { limits } from '../../shared/limits.ts';
import { detectors } from './detectors.ts';
import { HostFiles, type Read } from './host-files.ts';
import { hasGaps, supplement } from './supplement.ts';

/** Milliseconds of small reads; no program is run. */
export function readFacts(host = new HostFiles()): Facts {
  const unread: Record<string, string> = {};
  const take = <Part>(read: Read<Part>): Part => {
    Object.assign(unread, read.unread);
    return read.value;
  };
  const machineId = host.text('etc/machine-id') ?? host.text('var/lib/dbus/machine-id');
  const facts = {
    hostname: hostname().slice(0, 1_024),
    bootId: host.text('proc/sys/kernel/random/boot_id') ?? '',
    system: take(detectors.system(host)),
    cpu: take(detectors.cpu(host)),
    memory: take(detectors.memory(host)),
    disks: take(detectors.disks(host)),
    interfaces: take(detectors.interfaces(host)),
    os: take(detectors.os(host)),
    kernel: take(detectors.kernel(host)),
  };
  if (machineId === undefined) unread.machineId = 'there is no /etc/machine-id';
  return withinBounds({
    ...facts,
    ...(machineId === undefined ? {} : { machineId }),
    ...(Object.keys(unread).length === 0 ? {} : { unread }),
  });
}

/** A host with thousands of container interfaces would not fit in a message: the first ones stand for them. */
function withinBounds(facts: Facts): Facts {
  let bounded = facts;
  while (JSON.stringify(bounded).length > limits.factsBytesMax && bounded.interfaces.length > 0) {
    const interfaces = bounded.interfaces.slice(0, Math.floor(bounded.interfaces.length / 2));
    const reason = `the first ${interfaces.length} of ${facts.interfaces.length} fit in ${limits.factsBytesMax} bytes`;
    bounded = { ...bounded, interfaces, unread: { ...facts.unread, interfaces: reason } };
  }
  return factsSchema.parse(bounded);
}

export const digestOfFacts = (facts: Facts): string =>
  `sha256:${createHash('sha256').update(canonicalJson(facts)).digest('hex')}`;

/**
 * The facts over the life of the process. They are read again for each connection, which is cheap; what only
 * programs can tell is looked up once and kept.
 */
export class Discovery {
  #supplemented: { readonly from: string; readonly facts: Facts } | undefined;

  /** The facts if they are all here without running programs, else undefined. */
  now(): Facts | undefined {
    const facts = readFacts();
    if (!hasGaps(facts)) return facts;
    return this.#supplemented?.from === digestOfFacts(facts) ? this.#supplemented.facts : undefined;
  }

  async full(): Promise<Facts> {
    const ready = this.now();
    if (ready !== undefined) return ready;
    const facts = readFacts();
    const fuller = await supplement(facts);
    this.#supplemented = { from: digestOfFacts(facts), facts: fuller };
    return fuller;
  }
}
