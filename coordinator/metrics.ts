/** Figures for Prometheus, taken when they are asked for; only durations are counted as they happen. */
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { nodeStateOf, runStateOf } from './core/shown-states.ts';
import type { State } from './core/state.ts';

export type Figures = {
  readonly queued: () => number;
  readonly agents: () => number;
  readonly stalled: () => number;
  readonly durableSeq: () => number;
  readonly diskFull: () => boolean;
};

export type Metrics = {
  readonly contentType: string;
  /** The figures as text, those of nodes and runs from this state. */
  readonly render: (state: State) => Promise<string>;
  readonly observeBatch: (events: number, durationMs: number) => void;
};

export function createMetrics(figures: Figures): Metrics {
  let shown: State | undefined;
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('lockstep_seq', 'Seq of the last durable event', figures.durableSeq);
  gauge('lockstep_commands_queued', 'Commands that wait for their turn', figures.queued);
  gauge('lockstep_agents_connected', 'Agents whose connection is past its hello', figures.agents);
  gauge(
    'lockstep_agents_stalled',
    'Agents that answer but do not accept or start what they were granted',
    figures.stalled,
  );
  gauge('lockstep_disk_full', '1 while nothing can be written', () => (figures.diskFull() ? 1 : 0));
  gauge('lockstep_epoch', 'Number of this reign', () => shown?.epoch ?? 0);
  counted('lockstep_nodes', 'Nodes by state', registry, () =>
    [...(shown?.nodes.values() ?? [])].map(nodeStateOf),
  );
  counted('lockstep_runs', 'Runs that are not archived, by state', registry, () =>
    [...(shown?.runs.values() ?? [])].map(runStateOf),
  );
  const batchSeconds = new Histogram({
    name: 'lockstep_batch_duration_seconds',
    help: 'From a batch being handed to the journal to its fsync',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1],
    registers,
  });
  const batchEvents = new Histogram({
    name: 'lockstep_batch_events',
    help: 'Events that share one fsync',
    buckets: [1, 2, 5, 10, 50, 100, 500, 1_000, 5_000],
    registers,
  });
  return {
    contentType: registry.contentType,
    render: (state) => {
      shown = state;
      return registry.metrics();
    },
    observeBatch: (events, durationMs) => {
      batchSeconds.observe(durationMs / 1000);
      batchEvents.observe(events);
    },
  };
}

function counted(name: string, help: string, registry: Registry, states: () => readonly string[]): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    labelNames: ['state'],
    collect() {
      this.reset();
      for (const state of states()) this.inc({ state });
    },
  });
}
