/**
 * The dependency rules bite: a small tree that breaks each of them is refused for exactly those breaches,
 * and a tree that uses every import where it is allowed passes.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';
import * as z from 'zod';

const root = resolve(import.meta.dirname, '../..');
const report = z.object({
  summary: z.object({
    violations: z.array(z.object({ rule: z.object({ name: z.string() }), from: z.string(), to: z.string() })),
  }),
});

/** What dependency-cruiser says of a tree of files (path → imported names), as `rule: from → to`. */
function breaches(tree: string, imports: Record<string, readonly string[]>): string[] {
  for (const [path, names] of Object.entries(imports)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), names.map((name) => `import '${name}';\n`).join(''));
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  symlinkSync(join(root, 'package.json'), join(tree, 'package.json'));
  const { stdout } = spawnSync(
    join(root, 'node_modules/.bin/depcruise'),
    [
      '--config',
      join(root, '.dependency-cruiser.cjs'),
      '--output-type',
      'json',
      'agent',
      'coordinator',
      'shared',
    ],
    { cwd: tree, encoding: 'utf8' },
  );
  const { summary } = report.parse(JSON.parse(stdout));
  return summary.violations
    .map(({ rule, from, to }) => `${rule.name}: ${from} → ${to.replace(/^.*node_modules\/([^/]+).*$/, '$1')}`)
    .sort();
}

t.test('every breach is named', async (t) => {
  const found = breaches(t.testdir(), {
    'agent/main.ts': [],
    'agent/core/a.ts': ['node:fs', '../../coordinator/core/a.ts', '../link/a.ts', 'ws'],
    'agent/link/a.ts': ['../core/a.ts', '../run/a.ts', '../main.ts'],
    'agent/run/a.ts': ['tap', '../../test/a.ts'],
    'coordinator/core/a.ts': ['../../shared/disk/a.ts'],
    'coordinator/http/a.ts': [],
    'coordinator/http/resources.ts': [],
    'coordinator/ws/a.ts': ['../http/resources.ts', './missing.ts'],
    'coordinator/cli/a.ts': ['../core/a.ts', '../http/a.ts'],
    'shared/a.ts': ['node:fs', 'hono', './disk/a.ts', '../agent/core/a.ts'],
    'shared/disk/a.ts': ['ws'],
    'test/a.ts': [],
  });
  t.strictSame(found, [
    'agent-edges-are-strangers: agent/link/a.ts → agent/run/a.ts',
    'cli-speaks-http: coordinator/cli/a.ts → coordinator/core/a.ts',
    'cli-speaks-http: coordinator/cli/a.ts → coordinator/http/a.ts',
    'coordinator-edges-are-strangers: coordinator/ws/a.ts → coordinator/http/resources.ts',
    'core-is-pure: agent/core/a.ts → agent/link/a.ts',
    'core-is-pure: agent/core/a.ts → coordinator/core/a.ts',
    'core-is-pure: agent/core/a.ts → fs',
    'core-is-pure: agent/core/a.ts → ws',
    'core-is-pure: coordinator/core/a.ts → shared/disk/a.ts',
    'main-is-the-top: agent/link/a.ts → agent/main.ts',
    'no-cycles: agent/core/a.ts → agent/link/a.ts',
    'product-dependencies-are-declared: agent/run/a.ts → tap',
    'product-without-scaffolding: agent/run/a.ts → test/a.ts',
    'resolvable: coordinator/ws/a.ts → ./missing.ts',
    'shared-disk-stands-alone: shared/disk/a.ts → ws',
    'shared-is-not-on-disk: shared/a.ts → shared/disk/a.ts',
    'shared-stands-alone: shared/a.ts → agent/core/a.ts',
    'shared-stands-alone: shared/a.ts → fs',
    'shared-stands-alone: shared/a.ts → hono',
    'two-sides: agent/core/a.ts → coordinator/core/a.ts',
  ]);
});

t.test('what is allowed passes', async (t) => {
  const found = breaches(t.testdir(), {
    'agent/main.ts': ['./core/a.ts', './link/a.ts', './run/a.ts', '../shared/disk/a.ts'],
    'agent/core/a.ts': ['./b.ts', '../../shared/a.ts'],
    'agent/core/b.ts': [],
    'agent/link/a.ts': ['node:net', 'ws', '../core/a.ts', '../../shared/a.ts'],
    'agent/run/a.ts': ['node:child_process', './b.ts', '../../shared/disk/a.ts'],
    'agent/run/b.ts': [],
    'coordinator/main.ts': ['./cli/a.ts', './http/a.ts', './core/a.ts'],
    'coordinator/core/a.ts': ['../../shared/a.ts'],
    'coordinator/http/a.ts': ['hono', './resources.ts', '../core/a.ts'],
    'coordinator/http/resources.ts': ['zod', '../../shared/a.ts'],
    'coordinator/cli/a.ts': ['commander', 'undici', 'node:fs', '../http/resources.ts', '../../shared/a.ts'],
    'shared/a.ts': ['zod', 'yaml', '@marcbachmann/cel-js'],
    'shared/disk/a.ts': ['node:fs/promises', 'lowdb', 'lowdb/node', '../a.ts'],
  });
  t.strictSame(found, []);
});
