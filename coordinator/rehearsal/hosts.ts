/**
 * The hosts of a rehearsal: the nodes that a coordinator knows, as many times as it takes, or those that a file
 * describes. What happens to them is in stage.ts.
 */
import * as z from 'zod';
import { LockstepError } from '../../shared/errors.ts';
import { nodeNamePattern } from '../../shared/ids.ts';
import { limits } from '../../shared/limits.ts';
import { readSource } from '../../shared/pipeline/source.ts';

export type RehearsedHost = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly address: string | null;
};

const family = z.strictObject({
  /** Of its first node when there is one; else what their names begin with. */
  name: z.string().min(1).max(50),
  count: z.int().min(1).max(limits.rehearsalNodesMax).default(1),
  /** A list is dealt out in turn, one value to a node. */
  labels: z.record(z.string(), z.union([z.string(), z.array(z.string()).min(1)])).default({}),
  /** Over what an ordinary host would tell. */
  facts: z.record(z.string(), z.json()).default({}),
});
const hostsFile = z.strictObject({ nodes: z.array(family).min(1) });

/** An ordinary host, for selectors that ask for no more than that. */
const ordinaryFacts = {
  system: {},
  cpu: { architecture: 'x86_64', sockets: 1, cores: 4, threads: 8 },
  memory: { totalBytes: 16 * 2 ** 30 },
  disks: [],
  interfaces: [],
  os: { id: 'debian', version: '12', name: 'Debian GNU/Linux 12' },
  kernel: { release: '6.1.0' },
};

/** Nodes as a file describes them. Throws `invalid` with the place of what is wrong. */
export function readHosts(file: string, text: string): RehearsedHost[] {
  const read = readSource(file, text);
  if (!read.ok)
    throw new LockstepError('invalid', `${file} cannot be read`, { diagnostics: read.diagnostics });
  const parsed = hostsFile.safeParse(read.source.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new LockstepError(
      'invalid',
      `${file} does not describe nodes: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.\n  It holds, for example: nodes: [{ name: hv, count: 40, labels: { use: hypervisor, rack: [r1, r2, r3, r4] } }]`,
    );
  }
  const hosts = parsed.data.nodes.flatMap(({ name, count, labels, facts }) =>
    Array.from({ length: count }, (_, index): RehearsedHost => {
      const dealt = Object.entries(labels).map(([key, value]) => [
        key,
        typeof value === 'string' ? value : (value[index % value.length] ?? ''),
      ]);
      const named = count === 1 ? name : `${name}${index + 1}`;
      return hostOf(named, Object.fromEntries(dealt), { ...ordinaryFacts, ...facts });
    }),
  );
  requireNames(file, hosts);
  return hosts;
}

function requireNames(file: string, hosts: readonly RehearsedHost[]): void {
  const seen = new Set<string>();
  for (const { name } of hosts) {
    if (!nodeNamePattern.test(name))
      throw new LockstepError('invalid', `${file}: ${JSON.stringify(name)} cannot be the name of a node`);
    if (seen.has(name)) throw new LockstepError('invalid', `${file}: two nodes would be named ${name}`);
    seen.add(name);
  }
  requireCount(hosts.length);
}

function requireCount(count: number): void {
  if (count <= limits.rehearsalNodesMax) return;
  throw new LockstepError(
    'too-large',
    `${count} nodes are too many to rehearse with: at most ${limits.rehearsalNodesMax}`,
  );
}

const hostOf = (
  name: string,
  labels: Readonly<Record<string, string>>,
  facts: Readonly<Record<string, unknown>>,
): RehearsedHost => ({ name, labels, facts: { hostname: name, ...facts }, address: null });

/** The first `count` of them, or all of them again and again until there are so many: after n1 to n6 comes n7. */
export function multiply(known: readonly RehearsedHost[], count: number): RehearsedHost[] {
  requireCount(count);
  const hosts = known.slice(0, count);
  const names = new Set(known.map(({ name }) => name));
  const last = new Map<string, number>();
  for (let index = 0; known.length > 0 && hosts.length < count; index += 1) {
    const like = known[index % known.length];
    if (like === undefined) break;
    const family = like.name.replace(/\d+$/, '');
    let number = last.get(family) ?? 1;
    while (names.has(`${family}${number}`)) number += 1;
    last.set(family, number);
    const name = `${family}${number}`;
    names.add(name);
    hosts.push({ ...like, name, facts: { ...like.facts, hostname: name } });
  }
  requireNames('--nodes', hosts);
  return hosts;
}
