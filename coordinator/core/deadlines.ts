/**
 * Moments at which something has to be looked at again, although nothing happened. An entry only asks to
 * look: whether it still means anything is decided from the state when it is due, so nothing has to be
 * taken out when a node comes back or a run ends.
 */
import { popHeap, pushHeap } from './heap.ts';

export type Deadline =
  | { readonly at: number; readonly kind: 'contact'; readonly node: string }
  | { readonly at: number; readonly kind: 'unknown'; readonly node: string }
  | { readonly at: number; readonly kind: 'pause'; readonly run: string; readonly unit: number }
  | { readonly at: number; readonly kind: 'trigger'; readonly trigger: string }
  | { readonly at: number; readonly kind: 'window'; readonly run: string; readonly unit: number }
  | { readonly at: number; readonly kind: 'gather'; readonly run: string }
  | { readonly at: number; readonly kind: 'reboot'; readonly node: string }
  | { readonly at: number; readonly kind: 'deferral'; readonly run: string; readonly node: string };

const earlier = (a: Deadline, b: Deadline): boolean => a.at < b.at;

export class Deadlines {
  readonly #heap: Deadline[] = [];

  add(deadline: Deadline): void {
    pushHeap(this.#heap, deadline, earlier);
  }

  /** When to look next, ms since 1970; undefined when there is nothing to wait for. */
  next(): number | undefined {
    return this.#heap[0]?.at;
  }

  /** Takes out one deadline that is due. */
  takeDue(at: number): Deadline | undefined {
    const top = this.#heap[0];
    return top !== undefined && top.at <= at ? popHeap(this.#heap, earlier) : undefined;
  }
}
