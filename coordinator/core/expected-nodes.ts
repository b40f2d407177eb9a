/**
 * Machines that are told of before they exist: which expectations fit together and with what is there, and which one
 * a machine meets that connects for the first time. Whoever meets more than one meets none.
 */
import { compareMachines, type Hardware, type Mark, marksOf } from '../../shared/hardware.ts';
import { limits } from '../../shared/limits.ts';
import { faultOfLabelCount } from './administration.ts';
import { type Expectation, type ExpectedNode, marksOfExpectation } from './expectation.ts';
import { compareNames } from './order.ts';
import type { Node, State } from './state.ts';
import { clusterOfLabels } from './state.ts';

export type ExpectationField = 'name' | 'serial' | 'uuid' | 'mac' | 'labels';

/** What keeps one of several expectations from being kept. */
export type ExpectationFault = {
  readonly index: number;
  readonly field: ExpectationField;
  readonly message: string;
};

export type ExpectationChange = 'expected' | 'changed' | 'unchanged';

export type Judgement = {
  readonly faults: readonly ExpectationFault[];
  /** What each of them would be to what is known. */
  readonly changes: readonly ExpectationChange[];
};

export const describeMarks = (marks: readonly Mark[]): string =>
  marks.length === 0 ? 'no serial number, UUID or MAC address' : marks.join(', ');

const marksOfNode = (node: Node | undefined): readonly Mark[] =>
  node === undefined || node.hardware === null ? [] : marksOf(node.hardware);

/** Judges them all together: several may change at once what would collide one after the other. */
export function judgeExpectations(state: State, list: readonly Expectation[]): Judgement {
  const faults: ExpectationFault[] = [];
  const lines = new Map<string, number>();
  const holders = holdersOfMarks(state, new Set(list.map(({ node }) => node)));
  for (const [index, expectation] of list.entries()) {
    const { node: name } = expectation;
    const fault = (field: ExpectationField, message: string): void => {
      faults.push({ index, field, message });
    };
    if (lines.has(name)) {
      fault('name', `node ${name} stands in two lines`);
      continue;
    }
    lines.set(name, index);
    for (const mark of marksOfExpectation(expectation)) {
      const holder = holders.get(mark);
      if (holder === undefined) holders.set(mark, { node: name, how: 'is expected' });
      else if (holder.node !== name)
        fault(fieldOf(mark), `${mark} is that of node ${holder.node}, which ${holder.how}`);
    }
    const known = state.nodes.get(name);
    const marks = marksOfExpectation(expectation);
    const own = marksOfNode(known);
    const mayDiffer = known === undefined || known.vacancy !== null;
    if (!mayDiffer && compareMachines(marks, own) === 'other')
      fault(
        fieldOf(marks[0]),
        `node ${name} is there as another machine (${describeMarks(own)}): say lockstep node replace ${name} before another one may be it`,
      );
    const labels = { ...known?.agentLabels, ...expectation.labels, ...known?.operatorLabels };
    const crowded = faultOfLabelCount(known, labels);
    if (crowded !== undefined) fault('labels', `node ${name} cannot be expected: ${crowded}`);
  }
  const count = new Set([...state.expected.keys(), ...lines.keys()]).size;
  if (count > limits.nodesExpectedMax)
    faults.push({
      index: 0,
      field: 'name',
      message: `${count} nodes would be expected, and nodesExpectedMax is ${limits.nodesExpectedMax}`,
    });
  const changes = list.map((one) => changeOf(state.expected.get(one.node), one));
  return { faults, changes };
}

const fieldOf = (mark: Mark | undefined): ExpectationField =>
  mark === undefined
    ? 'name'
    : mark.startsWith('serial')
      ? 'serial'
      : mark.startsWith('uuid')
        ? 'uuid'
        : 'mac';

type Holder = { readonly node: string; readonly how: string };

/** Who has each mark already, but for the expectations that are told anew. */
function holdersOfMarks(state: State, anew: ReadonlySet<string>): Map<Mark, Holder> {
  const holders = new Map<Mark, Holder>();
  for (const [name, expected] of state.expected) {
    if (anew.has(name)) continue;
    for (const mark of marksOfExpectation(expected)) holders.set(mark, { node: name, how: 'is expected' });
  }
  for (const node of state.nodes.values()) {
    if (node.vacancy !== null) continue;
    for (const mark of marksOfNode(node)) {
      // Interfaces that software makes may have the same address on many hosts.
      if (mark.startsWith('mac ') && holders.has(mark)) continue;
      const how = `is there: to let the machine join as another one, stop its agent and say lockstep node rm ${node.name}`;
      holders.set(mark, { node: node.name, how });
    }
  }
  return holders;
}

function changeOf(known: ExpectedNode | undefined, told: Expectation): ExpectationChange {
  if (known === undefined) return 'expected';
  return comparable(known) === comparable(told) ? 'unchanged' : 'changed';
}

const comparable = (expectation: Expectation): string => {
  const { labels, address, bmc } = expectation;
  const marks = [...marksOfExpectation(expectation)].sort();
  return JSON.stringify([marks, Object.entries(labels).sort(), address, bmc]);
};

export type Meeting =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly node: string; readonly mark: Mark }
  | { readonly kind: 'several'; readonly marks: readonly (readonly [node: string, mark: Mark])[] };

/** Which expectation the machine meets. */
export function meet(state: State, hardware: Hardware | undefined): Meeting {
  if (hardware === undefined || state.expectedMarks.size === 0) return { kind: 'none' };
  const met = new Map<string, Mark>();
  for (const mark of marksOf(hardware)) {
    const node = state.expectedMarks.get(mark);
    if (node !== undefined && !met.has(node)) met.set(node, mark);
  }
  const [first, ...others] = met;
  if (first === undefined) return { kind: 'none' };
  const [node, mark] = first;
  return others.length === 0 ? { kind: 'one', node, mark } : { kind: 'several', marks: [...met] };
}

/** Expectations that no machine has met yet, by name. */
export const unmetExpectations = (state: State, cluster?: string): readonly ExpectedNode[] =>
  [...state.expected.values()]
    .filter(({ node, labels }) => {
      if (state.nodes.has(node)) return false;
      return cluster === undefined || clusterOfLabels(labels) === cluster;
    })
    .sort((a, b) => compareNames(a.node, b.node));
