/**
 * What processes and the machine use, as /proc shows it. CPU comes in ticks of 10 ms, so it is only worth
 * comparing over seconds.
 */
import { readFileSync } from 'node:fs';
import { present } from '../../shared/assert.ts';
import type { Sample } from './statistics.ts';

/** Linux fixes it for user space. */
const tickMs = 10;

/** By a clock that all processes of this machine share, in ms. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export type CpuMs = {
  /** Of the process itself, all threads. */
  readonly own: number;
  /** Of its children that have ended, with theirs, as far as they were waited for. */
  readonly children: number;
};

export function cpuOf(pid: number): CpuMs {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name stands in parentheses and may itself hold spaces: fields count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number(present(fields[index], 'a field of stat'));
  return { own: (ticks(11) + ticks(12)) * tickMs, children: (ticks(13) + ticks(14)) * tickMs };
}

export type Memory = {
  readonly residentBytes: number;
  /** What would come back if only this process ended. */
  readonly privateBytes: number;
  /** The private part, and of each shared page as much as is this process's share of those that have it. */
  readonly proportionalBytes: number;
  readonly peakBytes: number;
};

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return {
    residentBytes: kilobytesIn(status, 'VmRSS') * 1024,
    privateBytes: (kilobytesIn(rollup, 'Private_Clean') + kilobytesIn(rollup, 'Private_Dirty')) * 1024,
    proportionalBytes: kilobytesIn(rollup, 'Pss') * 1024,
    peakBytes: kilobytesIn(status, 'VmHWM') * 1024,
  };
}

const kilobytesIn = (text: string, name: string): number =>
  Number(present(new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(text)?.[1], name));

/** What all processors did since boot, stolen time included: another guest's work keeps ours from being done. */
export function machineBusyMs(): number {
  const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)
    .join('')
    .split(/\s+/)
    .map(Number);
  return (
    [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * tickMs
  );
}

/** Looks at a process's own CPU again and again, so that any stretch of time can be asked for afterwards. */
export class CpuTimeline {
  readonly samples: Sample[] = [];
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#look();
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    this.samples.push({ at: nowMs(), value: cpuOf(this.#pid).own });
  }
}

const lookEveryMs = 50;
