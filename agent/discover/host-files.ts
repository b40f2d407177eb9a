/** Small files of /proc, /sys and /etc, under a root that tests may move. Absent and unreadable are both undefined. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { isFiller } from '../../shared/hardware.ts';

/** What a detector gives. */
export type Read<Part> = {
  readonly value: Part;
  /** What could not be looked at, and why: by path inside the facts. */
  readonly unread?: Readonly<Record<string, string>>;
};

const textLengthMax = 1_024;

export class HostFiles {
  readonly #root: string;

  constructor(root = '/') {
    this.#root = root;
  }

  /** The whole file, of any length. */
  read(file: string): string | undefined {
    try {
      return readFileSync(path.join(this.#root, file), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** One value: without surrounding space and NULs, undefined when empty or what firmware writes for "empty": two hosts that share that are not the same host. */
  text(file: string): string | undefined {
    const text = this.read(file)?.replaceAll('\0', '').trim().slice(0, textLengthMax);
    return text === undefined || isFiller(text) ? undefined : text;
  }

  /** A whole number that is not negative. */
  count(file: string): number | undefined {
    const text = this.text(file);
    return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
  }

  list(folder: string): string[] {
    try {
      return readdirSync(path.join(this.#root, folder)).sort();
    } catch {
      return [];
    }
  }

  /** The last part of what a link leads to. */
  linkName(file: string): string | undefined {
    try {
      return path.basename(readlinkSync(path.join(this.#root, file)));
    } catch {
      return undefined;
    }
  }
}
