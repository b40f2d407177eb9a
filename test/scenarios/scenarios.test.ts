/** Performs every scenario file and compares line by line. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatScenario, parseScenario, Scenario } from './scenario.ts';

const folder = import.meta.dirname;
const rewrite = process.env.LOCKSTEP_REWRITE === '1';

for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.txt'))
  .sort()) {
  t.test(file, (t) => {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    const blocks = parseScenario(text);
    const scenario = new Scenario();
    const actual = blocks.map((block) => scenario.perform(block));
    if (rewrite) writeFileSync(path, formatScenario(blocks, actual));
    for (const [index, block] of blocks.entries()) {
      t.same(
        actual[index],
        rewrite ? actual[index] : block.expected,
        `${file}:${block.line} ${block.command}`,
      );
    }
    t.ok(blocks.length > 2, 'something happens');
    t.end();
  });
}
