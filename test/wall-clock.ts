/** Clocks that a test sets, for a program that it starts: the one on the wall, and the monotonic one if it says so. */
import { globSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1');

/** Why there is no such clock here; undefined when there is. */
export const wallClockUnavailable =
  library === undefined ? 'a wall clock that a test sets needs Debian\'s package "faketime"' : undefined;

export class WallClock {
  readonly #file: string;
  /** What the program has to be started with. */
  readonly environment: Readonly<Record<string, string>>;

  /** `time` as faketime(1) has it: `@1970-01-01 00:00:10`, `-1d`. `monotonic`: nothing of the program tells that time jumped. */
  constructor(folder: string, time: string, monotonic = false) {
    this.#file = path.join(folder, 'wall-clock');
    this.environment = {
      LD_PRELOAD: library ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      ...(monotonic ? {} : { FAKETIME_DONT_FAKE_MONOTONIC: '1' }),
    };
    this.set(time);
  }

  set(time: string): void {
    writeFileSync(this.#file, `${time}\n`);
  }
}
