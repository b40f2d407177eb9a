/**
 * Classic faults, to prove that the checkers bite: each is an edit of the product's own source, made while a
 * thread loads it (plant.ts), and names the promise that must be found broken.
 */
export type Edit = {
  readonly file: string;
  /** Occurs exactly once there, or the test fails: a fault that is not planted proves nothing. */
  readonly find: string;
  readonly replace: string;
};

export type PlantedFault = {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Any of these may be the first that is found broken. */
  readonly breaks: readonly string[];
};

const fault = (name: string, breaks: readonly string[], ...edits: readonly Edit[]): PlantedFault => ({
  name,
  breaks,
  edits,
});

export const plantedFaults: readonly PlantedFault[] = [
  fault('the coordinator releases what it decided before the fsync', ['P3'], {
    file: 'coordinator/sequencer.ts',
    find: 'if (batch.events.length > 0 && !(await this.#write(batch))) return;\n      this.#release(batch.releases);',
    replace:
      'this.#release(batch.releases);\n      if (batch.events.length > 0 && !(await this.#write(batch))) return;',
  }),
  fault('grants and acknowledgements leave when they are decided', ['P3'], {
    file: 'coordinator/sequencer.ts',
    find: 'this.#pending.add(decision, entry);',
    replace: 'this.#pending.add(decision, entry); this.#options.edge.deliver(decision.effects);',
  }),
  fault(
    'a job is granted again when its node was away for a while',
    ['P2', 'P4', 'P6', 'P7'],
    {
      file: 'coordinator/core/overdue.ts',
      find: "turn.emit({ type: 'JobUnknown', ...namesOf(job), attempt: job.attempt, since: node.contactSince });",
      replace: "interruptJob(turn, job, 'its lease ran out');",
    },
    {
      file: 'coordinator/core/overdue.ts',
      find: 'import { giveUpReboot }',
      replace: 'import { giveUpReboot, interruptJob }',
    },
  ),
  fault('what is unknown counts as failed', ['P6'], {
    file: 'coordinator/core/overdue.ts',
    find: "turn.emit({ type: 'JobUnknown', ...namesOf(job), attempt: job.attempt, since: node.contactSince });",
    replace: "turn.emit({ type: 'JobFailed', ...namesOf(job), reason: 'no contact' });",
  }),
  fault(
    'the agent forgets which epoch it has seen',
    ['P7', 'P4'],
    {
      file: 'agent/core/reign.ts',
      find: '  epochs.find((seen) => seen.lineage === lineage)?.epoch ?? 0;',
      replace: '  epochs.length < 0 && lineage !== "" ? 1 : 0;',
    },
    {
      file: 'agent/core/reign.ts',
      find: '? seen.epoch > asked.epoch',
      replace: '? seen.epoch < 0',
    },
  ),
  fault('the agent forgets its outbox when it is restarted', ['P4', 'P2', 'liveness', 'crash'], {
    file: 'agent/core/agent.ts',
    find: '      ...beginning,\n',
    replace: '      ...beginning, ledger: { ...beginning.ledger, ended: [] },\n',
  }),
  fault('a script begins before the record of it is durable', ['P3'], {
    file: 'agent/core/ledger.ts',
    find: "return record.kind !== 'acknowledged'",
    replace: "return record.kind !== 'begun' && record.kind !== 'acknowledged'",
  }),
  fault('a job is accepted before the record of it is durable', ['P3'], {
    file: 'agent/core/ledger.ts',
    find: "return record.kind !== 'acknowledged'",
    replace: "return record.kind !== 'granted' && record.kind !== 'begun' && record.kind !== 'acknowledged'",
  }),
  fault(
    'an attempt that is granted again is executed again',
    ['P2', 'crash'],
    {
      file: 'agent/core/ledger.ts',
      find: "if (ended !== undefined) return { kind: 'ended', ended };",
      replace: "if (ended !== undefined) return { kind: 'new' };",
    },
    {
      file: 'coordinator/core/agents.ts',
      find: '      missing.delete(job);\n',
      replace: '',
    },
  ),
  fault('after a reboot the agent goes on where it was', ['P2', 'P4'], {
    file: 'agent/core/conclusion.ts',
    find: '.filter((job) => job.boot !== turn.state.host.boot)',
    replace: ".filter((job) => job.boot === '')",
  }),
  fault('a result that was applied is applied again', ['P4', 'P7', 'crash'], {
    file: 'coordinator/core/results.ts',
    find: 'if (!applied && isLiveHere) {',
    replace: 'if (job !== undefined && isLive(job.state)) {',
  }),
  fault('the end of an older connection ends the newer one', ['liveness', 'P3'], {
    file: 'coordinator/core/agents.ts',
    find: '  if (node.incarnation !== command.incarnation || node.counter !== command.counter) return;\n',
    replace: '',
  }),
  fault(
    'credit that belongs to an older connection is kept for the newer one',
    ['P9', 'P2', 'crash', 'liveness'],
    {
      file: 'coordinator/core/evolve-nodes.ts',
      find: '      node.contactSince = event.at;\n      node.credit = 0;\n      refreshNode(state, node);',
      replace:
        '      node.contactSince = event.at;\n      node.credit += 1;\n      refreshNode(state, node);',
    },
  ),
  fault('unreachable nodes do not count as unavailable', ['P8'], {
    file: 'coordinator/core/derive.ts',
    find: "  member.node.contact === 'unreachable' ||\n  member.node.administration",
    replace: '  member.node.administration',
  }),
  fault('a condition is not looked at when a job becomes ready in the same turn', ['P1'], {
    file: 'coordinator/core/progress.ts',
    find: "if (job?.state !== 'ready' || !job.admitted || !mayBegin(job)) continue;",
    replace: "if (job?.state !== 'ready' || !mayBegin(job)) continue;",
  }),
  fault('a slot that was given does not count at once', ['P8'], {
    file: 'coordinator/core/evolve.ts',
    find: '      unit.slots.set(event.node, event.at);\n      refreshStanding(state, memberOf(run, event.node).node);\n      refreshAvailability(state, run, unit, memberOf(run, event.node));',
    replace: '      unit.slots.set(event.node, event.at);',
  }),
  fault('a segment goes on after a job of it has failed', ['P1'], {
    file: 'agent/core/conclusion.ts',
    find: "if (!retry && end.outcome !== 'succeeded') endSegment(turn, job, turn.state.ledger.jobs);",
    replace: '',
  }),
  fault('a segment reaches over a barrier that other nodes keep closed', ['P1'], {
    file: 'coordinator/core/segments.ts',
    find: 'else if (needed.jobsUnfinished === 1) barriers += 1;',
    replace: 'else barriers += 1;',
  }),
  fault('a job is done before its node is back from the reboot', ['P1', 'P2'], {
    file: 'coordinator/core/evolve-jobs.ts',
    find: 'if (event.reboot === undefined || event.reboot.boot !== executorOf(job).node.boot)',
    replace: 'if (event.at > 0)',
  }),
  fault('a barrier opens before its last node is done', ['P1'], {
    file: 'coordinator/core/transitions.ts',
    find: '} else if (step.jobsUnfinished === 0) {',
    replace: '} else if (step.jobsUnfinished === 1) {',
  }),
  fault('what may not run twice is repeated after an interruption', ['P2'], {
    file: 'coordinator/core/results.ts',
    find: '  switch (step.rerun) {',
    replace: "  switch (step.rerun === 'never-twice' ? 'idempotent' : step.rerun) {",
  }),
  fault('a snapshot forgets how many attempts were made', ['P5', 'P2', 'crash'], {
    file: 'coordinator/core/snapshot-reading.ts',
    find: 'Object.assign(job, fields)',
    replace: 'Object.assign(job, fields, { attempt: 0 })',
  }),
  fault('logs are acknowledged before they are durable', ['P4', 'liveness'], {
    file: 'coordinator/ws/log-intake.ts',
    find: 'if (taken.durable > next.offset) this.#hooks.acknowledge(next, taken.durable);',
    replace: 'this.#hooks.acknowledge(next, next.offset + Buffer.from(next.base64 ?? "", "base64").length);',
  }),
  fault('an approval is taken for granted', ['P1'], {
    file: 'coordinator/core/progress.ts',
    find: "  if (unit.approval.kind === 'requested' && !after) return false;\n",
    replace: '',
  }),
  fault('why has no answer for what is held', ['P10'], {
    file: 'coordinator/core/explain.ts',
    find: "    case 'held':\n      return {\n        gate: 'decision',",
    replace: "    case 'held':\n      return {\n        gate: '',",
  }),
  fault('nobody listens to what nodes did for a history that was lost', ['P2', 'P1', 'P4', 'P7'], {
    file: 'coordinator/core/agents.ts',
    find: '  if (!hasTold) takeAccount(turn, node, hello, lostItsState);\n',
    replace: '',
  }),
  fault('a secret output is stored like any other', ['P11'], {
    file: 'coordinator/core/results.ts',
    find: 'if (declaration.secret) outputs[name]',
    replace: "if (declaration.secret && name === '') outputs[name]",
  }),
  fault('a value that is composed of a secret is stored like any other', ['P11'], {
    file: 'coordinator/core/inputs.ts',
    find: '  if (secret) {\n    const { run, step, member } = job;',
    replace: '  if (secret && attempt === 0) {\n    const { run, step, member } = job;',
  }),
  fault('a job is granted to an agent that cannot do what it needs', ['P12'], {
    file: 'coordinator/core/agent-versions.ts',
    find: 'if (!hasFeature(node, feature) && needs(job)) missing.push(feature);',
    replace: "if (!hasFeature(node, feature) && needs(job) && node.name === '') missing.push(feature);",
  }),
  fault('an upgrade is offered to agents that cannot take one', ['P12'], {
    file: 'coordinator/core/upgrades.ts',
    find: "  if (!hasFeature(node, 'upgrade')) return { kind: 'incapable' };\n",
    replace: '',
  }),
];
