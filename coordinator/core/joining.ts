/**
 * Which node an agent is that connects: the one that it says, or the one that is expected of its machine when it comes
 * for the first time. And whether it may be that node: another host may be it already, or was put in its place.
 */
import { compareMachines, marksOf } from '../../shared/hardware.ts';
import type { Hello } from '../../shared/messages.ts';
import { faultOfLabelCount } from './administration.ts';
import { marksOfExpectation } from './expectation.ts';
import { describeMarks, type Meeting, meet } from './expected-nodes.ts';
import type { Node, State } from './state.ts';

/** A null for `retryAfterMs` says that it need not come again by itself. */
export type Entry =
  | {
      readonly ok: true;
      readonly name: string;
      readonly known: Node | undefined;
      readonly met?: { readonly mark: string; readonly asked: string };
      readonly unmet?: string;
    }
  | { readonly ok: false; readonly reason: string; readonly retryAfterMs: number | null };

const nameTakenRetryMs = 30_000;
/** Somebody may take labels off meanwhile. */
const tooManyLabelsRetryMs = 30_000;

const refused = (reason: string, retryAfterMs: number | null): Entry => ({ ok: false, reason, retryAfterMs });

export function entryOf(state: State, hello: Hello): Entry {
  const isKnown = state.nodes.get(hello.name)?.incarnation === hello.incarnation;
  const meeting: Meeting = isKnown ? { kind: 'none' } : meet(state, hello.hardware);
  const name = meeting.kind === 'one' ? meeting.node : hello.name;
  const known = state.nodes.get(name);
  const obstacle = faultOfLabels(state, name, known, hello) ?? faultOfMachine(state, name, known, hello);
  if (obstacle !== undefined) return obstacle;
  if (meeting.kind === 'one')
    return { ok: true, name, known, met: { mark: meeting.mark, asked: hello.name } };
  if (meeting.kind === 'none') return { ok: true, name, known };
  const parts = meeting.marks.map(([node, mark]) => `${mark} is expected of ${node}`);
  return {
    ok: true,
    name,
    known,
    unmet: `its machine could be several nodes that are expected, and counts as none of them: ${parts.join(', ')}`,
  };
}

function faultOfLabels(state: State, name: string, known: Node | undefined, hello: Hello): Entry | undefined {
  const expected = state.expected.get(name)?.labels;
  const crowded = faultOfLabelCount(known, { ...hello.labels, ...expected, ...known?.operatorLabels });
  if (crowded === undefined) return undefined;
  return refused(`node ${name} cannot join: ${crowded}`, tooManyLabelsRetryMs);
}

function faultOfMachine(
  state: State,
  name: string,
  known: Node | undefined,
  hello: Hello,
): Entry | undefined {
  const former = known?.formers.find(
    ({ incarnation, replaced }) => incarnation === hello.incarnation && replaced !== null,
  );
  if (former?.replaced != null) {
    const { by, reason } = former.replaced;
    const why = reason === '' ? '' : ` (${reason})`;
    return refused(
      `this host was node ${name} and was replaced by ${by} at ${new Date(former.until).toISOString()}${why}: to bring it in as another node, give it an empty --state and its own --name`,
      null,
    );
  }
  if (known?.administration === 'retired' && !mayEndItsJobs(known, hello))
    return refused(`node ${name} was retired: bring it back with lockstep node in-service ${name}`, null);
  if (known?.incarnation === hello.incarnation) return undefined;
  return faultOfHardware(state, name, known, hello) ?? faultOfName(name, known, hello);
}

/** What it was granted before it was retired is still its own to end and to tell. */
const mayEndItsJobs = (known: Node, hello: Hello): boolean =>
  known.incarnation === hello.incarnation && known.segment.length > 0;

/** A machine that is told to be another one than the node is, or is to be, does not become it by its name. */
function faultOfHardware(
  state: State,
  name: string,
  known: Node | undefined,
  hello: Hello,
): Entry | undefined {
  if (hello.hardware === undefined || (known !== undefined && known.vacancy !== null)) return undefined;
  const marks = marksOf(hello.hardware);
  const own = known?.hardware === undefined || known.hardware === null ? [] : marksOf(known.hardware);
  const likeOwn = compareMachines(marks, own);
  const expected = state.expected.get(name);
  if (likeOwn === 'same') return undefined;
  if (expected === undefined && (known?.formers ?? []).every(({ replaced }) => replaced === null))
    return undefined;
  if (likeOwn === 'other')
    return refused(
      `node ${name} is another machine (${describeMarks(own)}), and this one has ${describeMarks(marks)}: to put it in that one's place, say lockstep node replace ${name}`,
      nameTakenRetryMs,
    );
  const awaited = expected === undefined ? [] : marksOfExpectation(expected);
  if (compareMachines(marks, awaited) !== 'other') return undefined;
  return refused(
    `node ${name} is expected to be another machine (${describeMarks(awaited)}), and this one has ${describeMarks(marks)}: give this one its own --name, or change the line of ${name} and import it again`,
    nameTakenRetryMs,
  );
}

function faultOfName(name: string, known: Node | undefined, hello: Hello): Entry | undefined {
  const isTaken =
    known?.contact === 'connected' || (known?.contact === 'disconnected' && !isSameMachine(known, hello));
  if (!isTaken) return undefined;
  return refused(`another host is node ${name}: give this one its own --name`, nameTakenRetryMs);
}

const isSameMachine = (node: Node, hello: Hello): boolean =>
  node.machineId !== null && node.machineId === hello.machineId;
