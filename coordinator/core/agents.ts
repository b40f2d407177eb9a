/** Agents come, go and ask for work. Whether a result counts is in results.ts. */
import type { Hardware } from '../../shared/hardware.ts';
import { parseAttemptId } from '../../shared/ids.ts';
import type { Hello } from '../../shared/messages.ts';
import { lackSentence, lacks } from './agent-versions.ts';
import type { Command } from './commands.ts';
import { grantedJobOf, lostValueOf } from './inputs.ts';
import { attemptOf, idOf, markFound, markStarted, namesOf } from './job-names.ts';
import { type Entry, entryOf } from './joining.ts';
import { isGranted, isUndecided, takeAccount } from './restoration.ts';
import { endReboots, giveBack, interruptJob } from './results.ts';
import { isStranded, recallFrom } from './segments.ts';
import type { Job, Node } from './state.ts';
import { isOpen } from './state.ts';
import type { Turn } from './turn.ts';
import { resumeTaking } from './upgrades.ts';

export function connectAgent(turn: Turn, hello: Hello, token: string): void {
  const entry = entryOf(turn.state, hello);
  if (!entry.ok) {
    refuse(turn, entry.reason, entry.retryAfterMs);
    return;
  }
  const { name, known } = entry;
  const hasTold = known?.lineage === turn.state.lineage;
  let lostItsState = false;
  if (known === undefined) {
    join(turn, entry, hello, token);
  } else if (known.incarnation !== hello.incarnation || known.vacancy !== null) {
    lostItsState = known.lineage !== turn.state.lineage;
    join(turn, entry, hello, token);
    // What waits for a reboot has told all there is to tell.
    for (const job of known.segment.filter(({ reboot }) => reboot === null))
      interruptJob(turn, job, 'evidence lost: the agent came back without its state');
  } else if (hello.counter <= known.counter) {
    quarantineClone(turn, known);
    return;
  } else if (known.contact === 'connected') {
    turn.effect({
      kind: 'disconnect',
      node: known.name,
      counter: known.counter,
      reason: 'replaced by a newer connection',
    });
  }
  turn.emit({
    type: 'NodeConnected',
    node: name,
    boot: hello.boot,
    counter: hello.counter,
    version: hello.version,
    address: hello.address ?? null,
    diskless: hello.diskless,
    labels: hello.labels,
    ...(hello.features.length === 0 ? {} : { features: hello.features }),
    ...newHardware(turn.state.nodes.get(name), hello),
  });
  const node = turn.state.nodes.get(name);
  if (node === undefined) return;
  turn.effect({
    kind: 'welcome',
    node: node.name,
    factsWanted: node.factsDigest === null || node.factsDigest !== hello.factsDigest,
  });
  if (!hasTold) takeAccount(turn, node, hello, lostItsState);
  endReboots(turn, node, hello.rebooted);
  reconcile(turn, node, hello, turn.state.restoration !== null && !hasTold);
  takeUpDeferred(turn, node);
  resumeTaking(turn, node, hello.upgradesFailed);
}

function newHardware(node: Node | undefined, { hardware }: Hello): { readonly hardware?: Hardware } {
  return hardware === undefined || JSON.stringify(hardware) === JSON.stringify(node?.hardware)
    ? {}
    : { hardware };
}

function refuse(turn: Turn, reason: string, retryAfterMs: number | null): void {
  turn.effect({ kind: 'reject', reason, retryAfterMs });
}

function join(turn: Turn, { name, met, unmet }: Entry & { ok: true }, hello: Hello, token: string): void {
  const { hardware } = hello;
  turn.emit({
    type: 'NodeJoined',
    node: name,
    incarnation: hello.incarnation,
    machineId: hello.machineId ?? null,
    labels: hello.labels,
    token,
    ...(hardware === undefined ? {} : { hardware }),
    ...(met === undefined ? {} : { met }),
    ...(unmet === undefined ? {} : { unmet }),
  });
}

/** Two processes use one state folder's identity: neither can be told from the other, so neither gets work. */
function quarantineClone(turn: Turn, node: Node): void {
  const reason =
    'a connection counter was used twice: its state folder was copied, or put back from a backup';
  if (node.administration !== 'quarantined') {
    turn.emit({
      type: 'NodeAdministered',
      node: node.name,
      administration: 'quarantined',
      by: 'coordinator',
      reason,
    });
  }
  refuse(turn, `node ${node.name} is quarantined: ${reason}`, null);
}

/** What the node holds against what it was granted: what got lost on the way is sent again, what is over is ended. */
function reconcile(turn: Turn, node: Node, { held, rebooting }: Hello, mayHaveDone: boolean): void {
  const missing = new Set(node.segment.filter(({ reboot }) => reboot === null));
  for (const { attempt, state } of held) {
    const name = parseAttemptId(attempt);
    const job = node.segment.find((live) => idOf(live) === name?.job);
    if (job === undefined) {
      if (state === 'ended' || isUndecided(turn.state, attempt)) continue;
      turn.effect({ kind: 'cancel', node: node.name, attempt, reason: 'it was superseded or decided' });
    } else if (name !== undefined && isGranted(job, name.attempt)) {
      missing.delete(job);
      if (state === 'running') markStarted(turn, job, name.attempt);
    }
  }
  const segment = [...node.segment];
  // The run has gone on without that reboot: it would hit whatever the node does next.
  const isOurs = segment.some((job) => attemptOf(job) === rebooting);
  if (rebooting !== undefined && !isOurs && !isUndecided(turn.state, rebooting)) {
    turn.effect({ kind: 'cancel', node: node.name, attempt: rebooting, reason: 'the run has gone on' });
  }
  for (const job of segment) markFound(turn, job);
  const lost: Job[] = [];
  for (const job of segment) {
    if (!missing.has(job)) continue;
    if (isStranded(job))
      giveBack(turn, job, 'what it was to follow came to nothing before the node heard of it');
    else if (lacks(node, job).length === 0) lost.push(job);
    else takeFrom(turn, node, job, mayHaveDone);
  }
  sendAgain(turn, node, lost);
  const run = segment[0]?.run;
  if (run === undefined) return;
  if (run.cancel === null || run.cancel.replacedBy !== undefined) {
    if (!isOpen(run)) recallFrom(turn, run, node);
    return;
  }
  for (const job of segment.toReversed()) {
    turn.effect({ kind: 'cancel', node: node.name, attempt: attemptOf(job), reason: run.cancel.reason });
  }
}

/**
 * An older agent was put there since the job was granted. It must not have it; and what was done for a history that
 * was lost it may have done.
 */
function takeFrom(turn: Turn, node: Node, job: Job, mayHaveDone: boolean): void {
  const reason = lackSentence(node, lacks(node, job));
  if (!mayHaveDone) giveBack(turn, job, reason);
  else turn.emit({ type: 'JobHeld', ...namesOf(job), reason: `whether it was done is not known: ${reason}` });
}

/** Up to the first job whose values are lost since it was granted: it, and what comes after it, never begins. */
function sendAgain(turn: Turn, node: Node, lost: readonly Job[]): void {
  const gone = lost.map((job) => lostValueOf(job, turn.lookup));
  const first = gone.findIndex((reason) => reason !== undefined);
  const sent = first < 0 ? lost : lost.slice(0, first);
  const jobs = sent.map((job) => grantedJobOf(job, turn.lookup));
  if (jobs.length > 0) turn.effect({ kind: 'grant', node: node.name, jobs });
  for (const job of lost.slice(sent.length).toReversed()) giveBack(turn, job, gone[first] ?? '');
}

/** What was deferred while the node was away is due now. */
function takeUpDeferred(turn: Turn, node: Node): void {
  for (const run of [...node.deferredRuns]) {
    if (run.members.get(node.name)?.deferred.length === 0) continue;
    turn.emit({ type: 'NodeReturned', run: run.id, node: node.name });
  }
  for (const run of node.queue) {
    for (const index of [...(run.members.get(node.name)?.deferred ?? [])]) {
      const job = run.steps[index]?.jobs.get(node.name);
      if (job?.state !== 'deferred') continue;
      turn.emit({ type: 'JobRequeued', ...namesOf(job), mode: job.mode, reason: 'its node is back' });
    }
  }
}

export function disconnectAgent(turn: Turn, command: Extract<Command, { type: 'DisconnectAgent' }>): void {
  const node = turn.state.nodes.get(command.node);
  // A connection that was replaced says nothing about the one that replaced it.
  if (node?.contact !== 'connected') return;
  if (node.incarnation !== command.incarnation || node.counter !== command.counter) return;
  turn.emit({ type: 'NodeDisconnected', node: node.name, reason: command.reason });
}

export function reportFacts(turn: Turn, name: string, digest: string): void {
  const node = turn.state.nodes.get(name);
  if (node === undefined || node.factsDigest === digest) return;
  turn.emit({ type: 'FactsReported', node: name, digest });
}

/** Credit is of the moment: it is kept with the connection and never journaled. */
export function pullJobs(turn: Turn, name: string, credit: number): void {
  const node = turn.state.nodes.get(name);
  if (node?.contact !== 'connected') return;
  node.credit = credit;
  if (credit > 0) turn.state.agenda.nodes.add(node);
}
