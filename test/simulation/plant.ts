/** Puts a fault into the sources that this thread loads from now on. What is on disk stays as it is. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { PlantedFault } from './planted-faults.ts';

const root = new URL('../../', import.meta.url);

export function plant({ edits }: PlantedFault): void {
  registerHooks({
    load(url, context, nextLoad) {
      const own = edits.filter(({ file }) => url === new URL(file, root).href);
      if (own.length === 0) return nextLoad(url, context);
      const source = own.reduce(
        (text, { find, replace }) => text.replace(find, () => replace),
        readFileSync(fileURLToPath(url), 'utf8'),
      );
      return { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}
