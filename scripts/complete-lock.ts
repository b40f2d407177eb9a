/**
 * Completes package-lock.json with the optional packages of platforms that the registry in use does not
 * carry. npm leaves those out when it writes the lock, and then refuses the same lock in `npm ci`. An entry
 * without a digest is enough: npm never fetches a package of a foreign platform.
 * Run it after every change of dependencies: node scripts/complete-lock.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as z from 'zod';

const lockPath = resolve(import.meta.dirname, '../package-lock.json');
const entry = z.object({
  dev: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const lock = z.object({ packages: z.record(z.string(), entry) });
type Packages = z.infer<typeof lock>['packages'];

const systems = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const processors = [
  'arm64',
  'arm',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'x64',
  'wasm32',
];

/** The platform that a package is for, as its name says it; an error when the name says nothing. */
function platformOf(name: string): { os?: string[]; cpu?: string[]; libc?: string[] } {
  const words = name.split(/[-/]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  if (name === 'fsevents') os.push('darwin');
  if (os.length === 0 && cpu.length === 0)
    throw new Error(`${name}: its name tells no platform; add it by hand`);
  const libc = words.flatMap((word) =>
    word.startsWith('musl') ? ['musl'] : word.startsWith('gnu') ? ['glibc'] : [],
  );
  return { ...(os.length > 0 && { os }), ...(cpu.length > 0 && { cpu }), ...(libc.length > 0 && { libc }) };
}

/** Whether Node's own search, from the package at `from` upwards, finds `name` in the lock. */
function isLocked(packages: Packages, from: string, name: string): boolean {
  if (packages[join(from, 'node_modules', name)] !== undefined) return true;
  return (
    from !== '' && isLocked(packages, from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))), name)
  );
}

const document = JSON.parse(readFileSync(lockPath, 'utf8'));
const { packages } = lock.parse(document);
const added: Record<string, object> = {};
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
  for (const [name, range] of Object.entries(optionalDependencies)) {
    if (isLocked(packages, path, name)) continue;
    const sorted = Object.entries({
      ...platformOf(name),
      ...(dev === true && { dev }),
      optional: true,
    }).sort();
    added[`node_modules/${name}`] = { version: range.replace(/^[~^]/, ''), ...Object.fromEntries(sorted) };
  }
}
const all = Object.entries({ ...document.packages, ...added });
document.packages = Object.fromEntries(all.sort(([a], [b]) => a.localeCompare(b, 'en')));
writeFileSync(lockPath, `${JSON.stringify(document, null, 2)}\n`);
console.log(`added ${Object.keys(added).length} packages of other platforms to package-lock.json`);
