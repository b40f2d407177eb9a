/**
 * One fsync of a folder for everybody who changed it meanwhile. A change made while an fsync runs may have
 * missed it, so it waits for the next one, together with all others that came by then.
 */
import { syncFolder } from '../../shared/disk/durable-file.ts';

type Syncing = { readonly running: Promise<void>; next: Promise<void> | undefined };

export class FolderSyncs {
  readonly #syncing = new Map<string, Syncing>();
  #failure: { readonly cause: unknown } | undefined;

  /**
   * Resolves when every change made before the call is durable. After one failure every call rejects: what a
   * folder's failed fsync has lost, a second one does not bring back.
   */
  sync(folder: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.cause);
    const current = this.#syncing.get(folder);
    if (current === undefined) return this.#start(folder);
    current.next ??= current.running.then(() => this.#start(folder));
    return current.next;
  }

  #start(folder: string): Promise<void> {
    const running = syncFolder(folder)
      .catch((cause: unknown) => {
        this.#failure = { cause };
        throw cause;
      })
      .finally(() => {
        // Whoever waits for the next one has its own entry by then, or nobody waits.
        if (this.#syncing.get(folder)?.running === running) this.#syncing.delete(folder);
      });
    this.#syncing.set(folder, { running, next: undefined });
    return running;
  }
}
