/**
 * The fold: how each event changes the state. It never refuses and decides nothing; what an event means was
 * decided when it was written, and a journal of years ago must still fold to the same state.
 */

import { assertNever, present } from '../../shared/assert.ts';
import { followUpNode, followUpRun } from './aftermath.ts';
import { concludeRun } from './conclusion.ts';
import { wakeGroup } from './concurrency-group.ts';
import { releaseNode, returnNode } from './deferral.ts';
import { countDeferrals } from './deferral-count.ts';
import { deriveRun, isDoneIn } from './derive.ts';
import { refreshStanding, wakeCluster } from './disruption.ts';
import type { ParamScope, StoredValue } from './event-values.ts';
import type { Event, EventBody } from './events.ts';
import { endAttempt, evolveJob, resumeJobs } from './evolve-jobs.ts';
import { beginReign, evolveNode, nodeOf } from './evolve-nodes.ts';
import { evolveOffer } from './evolve-offers.ts';
import { evolveProfile } from './evolve-profiles.ts';
import { evolveReceiver } from './evolve-receivers.ts';
import { beginLineage, discloseAttempt, fenceOf } from './evolve-restoration.ts';
import { evolveTrigger, meetService } from './evolve-triggers.ts';
import { evolveWindow } from './evolve-windows.ts';
import { layoutRun } from './layout.ts';
import { electLeader } from './leadership.ts';
import type { Member, Node, Run, State, UnitState } from './state.ts';
import { leaderKeyOf } from './state.ts';
import { enableAll, leaveRun, refreshAvailability, releaseRun, wakeRun } from './transitions.ts';

const runOf = (state: State, id: string): Run => present(state.runs.get(id), `run ${id}`);
const memberOf = (run: Run, node: string): Member =>
  present(run.members.get(node), `member ${node} of ${run.id}`);

function unitOf(run: Run, id: string): UnitState {
  return present(
    run.units.find((unit) => unit.unit.id === id),
    `unit ${id} of ${run.id}`,
  );
}

export function evolve(state: State, event: Event): void {
  state.seq = event.seq;
  state.at = event.at;
  state.types.add(event.type);
  switch (event.type) {
    case 'ReignBegan':
      state.version = event.version;
      if (event.continues !== undefined) beginLineage(state, event.continues, event.at);
      beginReign(state, event.lineage, event.epoch);
      return;
    case 'ReignFenced':
      state.fence = fenceOf(event);
      return;
    case 'TokenCreated':
      state.tokens.set(event.token, {
        id: event.token,
        hash: event.secretHash,
        kind: event.kind,
        createdAt: event.at,
        expiresAt: event.expiresAt,
        revoked: false,
      });
      return;
    case 'TokenRevoked':
      present(state.tokens.get(event.token), `token ${event.token}`).revoked = true;
      return;
    case 'NodeJoined':
    case 'NodeConnected':
    case 'NodeDisconnected':
    case 'NodeUnreachable':
    case 'FactsReported':
    case 'NodeLabelled':
    case 'NodeAdministered':
    case 'NodesExpected':
    case 'NodeReplaced':
    case 'NodeRemoved':
      evolveNode(state, event);
      return;
    case 'AgentOffered':
    case 'AgentUpgradeBegan':
    case 'AgentUpgradeFailed':
      evolveOffer(state, event);
      return;
    case 'ParamSet':
      paramsOf(state, event.scope).set(event.name, event.value);
      return;
    case 'ParamUnset':
      paramsOf(state, event.scope).delete(event.name);
      return;
    case 'ModulePinned':
      state.modules.set(event.module, event.digest);
      return;
    case 'DisruptionBudgetSet': {
      const { cluster, maxUnavailable, by, at } = event;
      if (maxUnavailable === null) state.budgets.delete(cluster);
      else state.budgets.set(cluster, { maxUnavailable, by, at });
      wakeCluster(state, cluster);
      return;
    }
    case 'ReceiverDeclared':
    case 'ReceiverRemoved':
      evolveReceiver(state, event);
      return;
    case 'ProfileApplied':
    case 'ProfileRemoved':
      evolveProfile(state, event);
      return;
    case 'TriggerDeclared':
    case 'TriggerRemoved':
    case 'TriggerMatched':
    case 'TriggerFired':
    case 'TriggerFailed':
      evolveTrigger(state, event);
      return;
    case 'ServiceProvided': {
      meetService(state, event);
      const key = leaderKeyOf(event.cluster, event.service);
      const endpoints = state.services.get(key) ?? new Map();
      state.services.set(key, endpoints);
      const { node, address, port, run, step } = event;
      endpoints.set(node, { node, address, port, run, step });
      return;
    }
    case 'StepOpened':
    case 'JobGranted':
    case 'JobStarted':
    case 'JobRequeued':
    case 'JobSkipped':
    case 'JobDeferred':
    case 'JobFailed':
    case 'JobHeld':
    case 'JobUnknown':
    case 'JobFound':
    case 'JobDecided':
    case 'JobRebooted':
      evolveJob(state, event);
      return;
    case 'AttemptEnded':
      endAttempt(state, event);
      return;
    case 'StaleResultReported':
      return;
    case 'AttemptDisclosed':
      discloseAttempt(state, event);
      return;
    default:
      evolveRun(state, event);
  }
}

function paramsOf(state: State, scope: ParamScope): Map<string, StoredValue> {
  if ('node' in scope) return nodeOf(state, scope.node).params;
  const params = state.clusterParams.get(scope.cluster) ?? new Map<string, StoredValue>();
  state.clusterParams.set(scope.cluster, params);
  return params;
}

type RunEvent = Extract<EventBody, { run: string }> & Event;

function evolveRun(
  state: State,
  event: Exclude<
    RunEvent,
    { type: 'StepOpened' | 'AttemptEnded' | 'AttemptDisclosed' | 'ServiceProvided' | `Job${string}` }
  >,
): void {
  switch (event.type) {
    case 'RunCreated':
      createRun(state, event);
      return;
    case 'StepsLeftOut':
      runOf(state, event.run).from = event.from;
      return;
    case 'RunPlanned': {
      const run = runOf(state, event.run);
      run.planned = true;
      run.plannedSeq = event.seq;
      run.plannedAt = event.at;
      run.digest = event.digest;
      for (const [name, role] of Object.entries(event.roles)) {
        run.roles.set(name, { name, nodes: role.nodes, leader: role.leader });
      }
      layoutRun(run, (name) => planMember(nodeOf(state, name)), event.at);
      for (const member of run.members.values()) member.node.queue.push(run);
      deriveRun(run);
      state.agenda.runs.add(run);
      return;
    }
    case 'RunStarted': {
      const run = runOf(state, event.run);
      run.startedAt = event.at;
      enableAll(state, run);
      // After a restore it may have been decided about steps before the run began.
      followUpRun(state, run);
      state.agenda.runs.add(run);
      return;
    }
    case 'ApprovalRequested': {
      const run = runOf(state, event.run);
      unitOf(run, event.unit).approval = { kind: 'requested', text: event.text, at: event.at };
      run.approvalsPending += 1;
      return;
    }
    case 'ApprovalGiven': {
      const run = runOf(state, event.run);
      const unit = unitOf(run, event.unit);
      if (unit.approval.kind === 'requested') run.approvalsPending -= 1;
      unit.approval = { kind: 'given', by: event.by, at: event.at };
      wakeRun(state, run);
      return;
    }
    case 'ApprovalRejected':
      return;
    case 'LeaderElected': {
      state.leaders.set(leaderKeyOf(event.cluster, event.role), event.node);
      electLeader(state, runOf(state, event.run), event.role, event.node);
      return;
    }
    case 'WaveOpened': {
      const run = runOf(state, event.run);
      const unit = unitOf(run, event.unit);
      unit.wave = event.wave;
      unit.waveUnfinished = 0;
      for (const node of event.nodes) {
        unit.waveOf.set(node, event.wave);
        if (!isDoneIn(run, unit, node)) unit.waveUnfinished += 1;
        state.agenda.nodes.add(memberOf(run, node).node);
      }
      state.agenda.units.set(unit, run);
      return;
    }
    case 'SlotTaken': {
      const run = runOf(state, event.run);
      const unit = unitOf(run, event.unit);
      unit.slots.set(event.node, event.at);
      refreshStanding(state, memberOf(run, event.node).node);
      refreshAvailability(state, run, unit, memberOf(run, event.node));
      return;
    }
    case 'SlotReleased': {
      const run = runOf(state, event.run);
      const unit = unitOf(run, event.unit);
      unit.slots.delete(event.node);
      refreshStanding(state, memberOf(run, event.node).node);
      if (unit.unit.strategy.kind === 'rolling' && unit.unit.strategy.pauseMs > 0) {
        unit.pauseUntil = event.at + unit.unit.strategy.pauseMs;
        state.deadlines.add({ at: unit.pauseUntil, kind: 'pause', run: run.id, unit: unit.index });
      }
      refreshAvailability(state, run, unit, memberOf(run, event.node));
      state.agenda.units.set(unit, run);
      return;
    }
    case 'WindowOpened':
    case 'WindowClosed': {
      const run = runOf(state, event.run);
      evolveWindow(state, run, unitOf(run, event.unit), event);
      return;
    }
    case 'RunFailing': {
      const run = runOf(state, event.run);
      run.failing = { unit: event.unit, reason: event.reason, hold: event.hold, at: event.at };
      followUpRun(state, run);
      state.agenda.runs.add(run);
      return;
    }
    case 'RunHeld': {
      const { needs, reason, at, restored } = event;
      runOf(state, event.run).hold = { needs, reason, at, ...(restored === undefined ? {} : { restored }) };
      return;
    }
    case 'RunResumed': {
      const run = runOf(state, event.run);
      resumeJobs(state, run, event.how);
      if (run.hold?.restored !== undefined) watchGathering(state, run);
      run.hold = null;
      run.failing = null;
      followUpRun(state, run);
      wakeRun(state, run);
      return;
    }
    case 'RunCancelRequested': {
      const run = runOf(state, event.run);
      const { by, reason, at, replacedBy } = event;
      const wholly = run.cancel !== null && run.cancel.replacedBy === undefined;
      run.cancel = {
        by,
        reason,
        at,
        ...(replacedBy === undefined ? {} : { replacedBy }),
        ...(wholly ? { wholly } : {}),
      };
      followUpRun(state, run);
      state.agenda.runs.add(run);
      return;
    }
    case 'RunConcluded':
      concludeRun(state, runOf(state, event.run), { state: event.state, at: event.at, reason: event.reason });
      return;
    case 'RunEnded': {
      const run = runOf(state, event.run);
      run.end = { state: event.state, at: event.at, reason: event.reason };
      releaseRun(state, run, event.reason);
      wakeGroup(state, run);
      return;
    }
    case 'RunDeferred': {
      const run = runOf(state, event.run);
      run.deferredAt = event.at;
      for (const member of run.members.values()) releaseNode(state, run, member);
      wakeGroup(state, run);
      return;
    }
    case 'NodeReturned':
      returnNode(state, runOf(state, event.run), nodeOf(state, event.node));
      return;
    case 'RunArchived':
      archiveRun(state, runOf(state, event.run), event.digest);
      return;
    case 'NodeLeft': {
      const run = runOf(state, event.run);
      leaveRun(state, run, memberOf(run, event.node), event.reason);
      followUpNode(state, run, memberOf(run, event.node));
      return;
    }
    default:
      assertNever(event);
  }
}

const planMember = (node: Node): Member => ({
  node,
  agentVersion: node.version,
  out: null,
  accepted: false,
  ready: [],
  deferred: [],
});

function createRun(state: State, event: Extract<Event, { type: 'RunCreated' }>): void {
  const run: Run = {
    id: event.run,
    cluster: event.cluster,
    pipeline: event.pipeline,
    digest: '',
    params: event.params,
    limit: event.limit,
    checkOnly: event.checkOnly,
    from: null,
    by: event.by,
    createdSeq: event.seq,
    createdAt: event.at,
    planned: false,
    plannedSeq: 0,
    plannedAt: null,
    startedAt: null,
    end: null,
    outcome: null,
    cancel: null,
    hold: null,
    failing: null,
    deferredAt: null,
    roles: new Map(),
    members: new Map(),
    units: [],
    steps: [],
    stepIndex: new Map(),
    membersAwaited: 0,
    jobsUnfinished: 0,
    jobsLive: 0,
    jobsReady: 0,
    jobsHeld: 0,
    jobsUnknown: 0,
    jobsFailed: 0,
    jobsDeferred: 0,
    jobsAftermath: 0,
    approvalsPending: 0,
    unitsOverBudget: 0,
    pausedAt: null,
    recallDue: false,
  };
  state.runsCreated += 1;
  state.runs.set(run.id, run);
  state.activeRuns.set(run.id, run);
  state.agenda.runs.add(run);
  watchGathering(state, run);
}

/** A role waits from now on, also when a restore has kept the run from looking. */
function watchGathering(state: State, run: Run): void {
  if (run.planned) return;
  for (const role of Object.values(run.pipeline.roles)) {
    if (role.waitForMs === undefined) continue;
    state.deadlines.add({ at: run.createdAt + role.waitForMs, kind: 'gather', run: run.id });
  }
}

function archiveRun(state: State, run: Run, digest: string): void {
  const deferral = countDeferrals(run);
  state.runs.delete(run.id);
  state.archive.set(run.id, {
    id: run.id,
    pipeline: run.pipeline.name,
    cluster: run.cluster,
    by: run.by,
    createdSeq: run.createdSeq,
    createdAt: run.createdAt,
    startedAt: run.startedAt,
    end: present(run.end, `end of ${run.id}`),
    ...(deferral === undefined ? {} : { deferral }),
    digest,
  });
}
