/**
 * A coordinator and agents on hosts of their own that are broken and mended all the time. What is done to one
 * host is done one after the other, so that no two faults pull at the same cable; what is done to whom, and when,
 * does not belong here.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type * as z from 'zod';
import { present } from '../../../shared/assert.ts';
import { parseAttemptId } from '../../../shared/ids.ts';
import { Coordinator, startAgent } from '../cluster.ts';
import type { Host, HostProcess, Lab } from '../hosts.ts';
import type { Completed } from '../processes.ts';

/** One after the other; a failure is the caller's, and does not stop the next. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine.catch(() => {});
    return mine;
  }
}

type Place = { readonly host: Host; readonly turns: Turns; agent: HostProcess };

/** The file under /shared that an agent leaves when it would reboot its host. */
const rebootWish = (name: string): string => `${name}-wants-reboot`;

const rebootPollMs = 100;

export class Site {
  readonly lab: Lab;
  readonly coordinator: Coordinator;
  readonly control: Host;
  readonly controlTurns = new Turns();
  readonly #token: string;
  readonly #places = new Map<string, Place>();
  #ended = false;
  #watching: Promise<void> = Promise.resolve();

  private constructor(lab: Lab, control: Host, coordinator: Coordinator, token: string) {
    this.lab = lab;
    this.control = control;
    this.coordinator = coordinator;
    this.#token = token;
  }

  static async start(lab: Lab, names: readonly string[]): Promise<Site> {
    const control = await lab.addHost('control');
    const coordinator = await Coordinator.start(control);
    const site = new Site(lab, control, coordinator, await coordinator.createToken());
    for (const [index, name] of names.entries()) {
      const host = await lab.addHost(name, { use: 'chaos', rack: `r${index % 3}` });
      const agent = startAgent(host, coordinator, site.#token);
      site.#places.set(name, { host, turns: new Turns(), agent });
    }
    await coordinator.nodesReady(names);
    site.#watching = site.#rebootAsAsked();
    return site;
  }

  /** Does something to a host when nobody else does. */
  on(name: string, work: (host: Host) => Promise<void>): Promise<void> {
    const { host, turns } = this.#place(name);
    return turns.take(() => work(host));
  }

  /** Within `on`. What jobs have started lives on. */
  async killAgent(name: string): Promise<void> {
    await this.#place(name).agent.end('SIGKILL');
  }

  /** Within `on`. */
  startAgent(name: string): void {
    const place = this.#place(name);
    place.agent = startAgent(place.host, this.coordinator, this.#token);
  }

  /** Within `on`: the power is cut, and comes back after a while. */
  async powerCycle(name: string, forMs: number): Promise<void> {
    const { host } = this.#place(name);
    await host.powerOff();
    this.lab.removeShared(rebootWish(name));
    await delay(forMs);
    await host.powerOn();
    this.startAgent(name);
  }

  /** A host on which a job is at work, by what it has written last. */
  async atWork(): Promise<string | undefined> {
    const last = new Map<string, string>();
    for (const line of (await this.lab.readShared('trace')).split('\n')) {
      const [attempt = '', phase = ''] = line.split(' ');
      const node = parseAttemptId(attempt)?.node;
      if (node !== undefined) last.set(node, phase);
    }
    return [...last].find(([, phase]) => phase === 'begin')?.[0];
  }

  /** What the side effects of a job left on the disk of its host, by attempt; also while the host is off. */
  effectsOf(run: string, step: string, node: string): ReadonlyMap<number, readonly string[]> {
    const folder = this.lab.path('disks', node, 'upper/var/lib/chaos', run, step);
    if (!existsSync(folder)) return new Map();
    return new Map(
      readdirSync(folder).map((attempt) => [
        Number(attempt),
        readFileSync(`${folder}/${attempt}`, 'utf8').split('\n').filter(Boolean),
      ]),
    );
  }

  /** A script beside the pipeline. */
  shareScript(name: string): void {
    copyFileSync(join(import.meta.dirname, name), this.lab.path('shared', name));
  }

  /** The operator's command line, also while the coordinator is down: then it ends with 3. */
  cli(args: readonly string[]): Promise<Completed> {
    return this.coordinator.exec(args);
  }

  /** The document that a command prints; undefined when the coordinator could not answer now. */
  async tryQuery<T>(schema: z.ZodType<T>, args: readonly string[]): Promise<T | undefined> {
    const { status, stdout } = await this.cli([...args, '-o', 'json']);
    return status === 0 ? schema.parse(JSON.parse(stdout)) : undefined;
  }

  /** The lines of JSON that a command prints. */
  async lines(args: readonly string[]): Promise<string[]> {
    await this.coordinator.save([...args, '-o', 'jsonl'], '/shared/answer');
    return (await this.lab.readShared('answer')).split('\n').filter(Boolean);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#watching;
    await Promise.all([...this.#places.keys()].map((name) => this.on(name, async () => {})));
  }

  /** Agents cannot reboot their hosts here; they leave a file, and this does what a machine would. */
  async #rebootAsAsked(): Promise<void> {
    while (!this.#ended) {
      for (const name of this.#places.keys()) {
        if (!this.lab.hasShared(rebootWish(name))) continue;
        await this.on(name, async () => {
          // It may have gone down by accident meanwhile, and forgotten what it was about to do.
          if (this.lab.hasShared(rebootWish(name))) await this.powerCycle(name, 0);
        });
      }
      await delay(rebootPollMs);
    }
  }

  #place(name: string): Place {
    return present(this.#places.get(name), `host ${name}`);
  }
}
