/**
 * What can go wrong with hosts, links and programs, and a seeded hand that deals it out. A deck holds every kind
 * and is dealt to its end before the next is shuffled, so that nothing is missing from a story of some length.
 * There is no delay on its own, which needs a queueing discipline that not every kernel has: a link of a few
 * kilobytes a second delays instead, by what stands in its queue.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { goodProgram } from '../../agent/upgrade/offered-program.ts';
import type { Random } from '../../coordinator/core/random-pipeline.ts';
import type { Host } from '../hosts.ts';
import type { Site } from './site.ts';

/** Applied for a while, then taken back. Each command leaves the host as it found it. */
const whileOf = (begin: string, end: string) => async (site: Site, name: string, forMs: number) =>
  site.on(name, async (host) => {
    await host.run(['sh', '-c', begin]);
    await delay(forMs);
    await host.run(['sh', '-c', end]);
  });

const lose = '-p tcp -m statistic --mode random --probability 0.3 -j DROP';

async function unplug(host: Host, forMs: number): Promise<void> {
  await host.setLink('down');
  await delay(forMs);
  await host.setLink('up');
}

type Inflict = (site: Site, name: string, forMs: number) => Promise<void>;

const faults = {
  'link cut': (site, name, forMs) => site.on(name, (host) => unplug(host, forMs)),
  'hears nothing': whileOf('iptables -w -A INPUT -p tcp -j DROP', 'iptables -w -D INPUT -p tcp -j DROP'),
  'is not heard': whileOf('iptables -w -A OUTPUT -p tcp -j DROP', 'iptables -w -D OUTPUT -p tcp -j DROP'),
  'loses 30 %': whileOf(
    `iptables -w -A INPUT ${lose}; iptables -w -A OUTPUT ${lose}`,
    `iptables -w -D INPUT ${lose}; iptables -w -D OUTPUT ${lose}`,
  ),
  slow: whileOf(
    'tc qdisc add dev eth0 root tbf rate 64kbit burst 3kb latency 2s',
    'tc qdisc del dev eth0 root',
  ),
  'agent killed': (site, name, forMs) =>
    site.on(name, async () => {
      await site.killAgent(name);
      await delay(forMs / 4);
      site.startAgent(name);
    }),
  // On whom it hurts: a host without a job has nothing that could be interrupted.
  'power cut': async (site, dealt, forMs) => {
    const name = (await site.atWork()) ?? dealt;
    await site.on(name, () => site.powerCycle(name, forMs / 4));
  },
  'coordinator killed': (site) => site.controlTurns.take(() => site.coordinator.restart()),
  "coordinator's link cut": (site, _, forMs) => site.controlTurns.take(() => unplug(site.control, forMs / 2)),
  'agents upgraded': async (site) => {
    const version = `99.0.${Date.now()}`;
    const file = site.lab.writeShared(`agent-${version}`, goodProgram(version));
    // The coordinator may be down: then nobody is upgraded this time.
    await site.cli(['upgrade', 'agents', '--file', file, '--version', version]);
  },
} as const satisfies Record<string, Inflict>;

type Fault = keyof typeof faults;

const deck: readonly Fault[] = [
  ...(['link cut', 'link cut', 'hears nothing', 'is not heard', 'loses 30 %', 'slow'] as const),
  ...(['agent killed', 'agent killed', 'power cut', 'power cut'] as const),
  ...(['coordinator killed', "coordinator's link cut", 'agents upgraded'] as const),
];

function shuffled(random: Random): Fault[] {
  const cards = deck.map((fault) => ({ fault, at: random.next() }));
  return cards.sort((a, b) => a.at - b.at).map(({ fault }) => fault);
}

export type Dealt = {
  readonly at: number;
  readonly fault: Fault;
  readonly node: string;
  readonly forMs: number;
};

/** Deals out faults for so long, waits until all of them are mended, and gives what was dealt. */
export async function inflict(
  site: Site,
  names: readonly string[],
  random: Random,
  forMs: number,
): Promise<Dealt[]> {
  const startedAt = performance.now();
  const dealt: Dealt[] = [];
  const open: Promise<void>[] = [];
  const unmended: unknown[] = [];
  let cards: Fault[] = [];
  while (performance.now() - startedAt < forMs) {
    if (cards.length === 0) cards = shuffled(random);
    const fault = cards.pop() ?? 'link cut';
    const next = {
      fault,
      node: random.pick(names),
      forMs: 500 + random.below(random.chance(0.2) ? 20_000 : 5_000),
    };
    dealt.push({ at: Math.round(performance.now() - startedAt), ...next });
    open.push(
      faults[fault](site, next.node, next.forMs).catch((error: unknown) => void unmended.push(error)),
    );
    await delay(500 + random.below(2_500));
  }
  await Promise.all(open);
  if (unmended.length > 0) throw new AggregateError(unmended, `faults went wrong: ${unmended.join('; ')}`);
  return dealt;
}
