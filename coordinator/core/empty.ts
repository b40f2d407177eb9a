/** The state before the first event. */
import { Deadlines } from './deadlines.ts';
import type { State } from './state.ts';

export const emptyState = (): State => ({
  seq: 0,
  at: 0,
  lineage: '',
  epoch: 0,
  version: '',
  types: new Set(),
  restoration: null,
  fence: null,
  tokens: new Map(),
  nodes: new Map(),
  expected: new Map(),
  expectedMarks: new Map(),
  clusterParams: new Map(),
  modules: new Map(),
  receivers: new Map(),
  triggers: new Map(),
  leaders: new Map(),
  services: new Map(),
  runs: new Map(),
  archive: new Map(),
  offer: null,
  runsCreated: 0,
  activeRuns: new Map(),
  deadlines: new Deadlines(),
  agenda: {
    nodes: new Set(),
    units: new Map(),
    runs: new Set(),
    slots: new Set(),
    gathering: new Set(),
    triggers: new Set(),
    offer: false,
  },
});
