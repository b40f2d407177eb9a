/** Events as scenarios tell of them: a line each, without what only matters to machines. */
import type { Event } from '../../coordinator/core/events.ts';

/** One event as a line, without what only matters to machines. */
export function formatEvent(event: Event): string | undefined {
  switch (event.type) {
    case 'NodeJoined': {
      const { node, met, unmet } = event;
      if (unmet !== undefined) return `${node} joined, unmet: ${unmet}`;
      return met === undefined ? undefined : `${met.asked} is ${node}, by ${met.mark}`;
    }
    case 'NodesExpected':
      return `expected: ${event.nodes.map(({ node }) => node).join(' ')}`;
    case 'NodeReplaced':
      return `${event.node} is to be another machine`;
    case 'NodeConnected':
    case 'FactsReported':
    case 'StepOpened':
    case 'ReignBegan':
      return undefined;
    case 'NodeDisconnected':
      return `${event.node} lost its link`;
    case 'NodeUnreachable':
      return `${event.node} is unreachable`;
    case 'NodeAdministered':
      return `${event.node} is ${event.administration}`;
    case 'DisruptionBudgetSet':
      return `disruption budget of ${event.cluster}: ${JSON.stringify(event.maxUnavailable)}`;
    case 'NodeLabelled':
      return `${event.node} labelled ${JSON.stringify(event.set)}`;
    case 'RunCreated':
      return `${event.run} created`;
    case 'StepsLeftOut':
      return `${event.run} begins at ${event.from}`;
    case 'RunPlanned': {
      const roles = Object.entries(event.roles).map(
        ([name, { nodes, leader }]) =>
          `${name}=${nodes.join(',')}${leader === null ? '' : ` (leader ${leader})`}`,
      );
      return `${event.run} planned: ${roles.join('; ')}`;
    }
    case 'RunStarted':
      return `${event.run} started`;
    case 'ApprovalRequested':
      return `${event.run} asks for approval of ${event.unit}: ${event.text}`;
    case 'ApprovalGiven':
      return `${event.run} ${event.unit} approved by ${event.by}`;
    case 'ApprovalRejected':
      return `${event.run} ${event.unit} rejected by ${event.by}`;
    case 'LeaderElected':
      return `${event.node} leads ${event.role} (${event.reason})`;
    case 'WaveOpened':
      return `wave ${event.wave + 1} of ${event.unit}: ${event.nodes.join(' ')}`;
    case 'SlotTaken':
      return `slot ${event.unit} ${event.node}`;
    case 'WindowOpened':
    case 'WindowClosed': {
      const until = event.until === null ? '' : ` until ${new Date(event.until).toISOString()}`;
      return `window of ${event.unit} ${event.type === 'WindowOpened' ? 'open' : 'closed'}${until}`;
    }
    case 'SlotReleased':
      return `slot back ${event.unit} ${event.node}`;
    case 'RunFailing':
      return `${event.run} failing: ${event.reason}`;
    case 'RunHeld':
      return `${event.run} held (${event.needs}): ${event.reason}`;
    case 'RunResumed':
      return `${event.run} resumed (${event.how}) by ${event.by}`;
    case 'RunCancelRequested':
      return `${event.run} cancelling: ${event.reason}`;
    case 'RunConcluded':
      return `${event.run} will be ${event.state}: ${event.reason}`;
    case 'RunEnded':
      return `${event.run} ${event.state}: ${event.reason}`;
    case 'NodeLeft':
      return `${event.node} leaves ${event.run}: ${event.reason}`;
    case 'JobGranted': {
      const inputs = Object.entries(event.inputs).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
      const tries = event.attemptsMax > 1 ? ` (up to ${event.attemptsMax} attempts)` : '';
      const mode = event.mode === 'normal' ? '' : ` ${event.mode}`;
      const ahead = event.segment === undefined ? '' : ` ahead, with ${event.segment.split('/')[1]}`;
      const by = event.executor === undefined ? '' : ` on ${event.executor}`;
      return `grant ${event.step} ${event.node}#${event.attempt}${by}${mode}${tries}${ahead}${inputs.join('')}`;
    }
    case 'JobStarted':
      return `started ${event.step} ${event.node}#${event.attempt}`;
    case 'AttemptEnded':
      return `ended ${event.step} ${event.node}#${event.attempt} ${event.outcome}${event.final ? '' : ', retrying'}${event.reboot === undefined ? '' : ', rebooting'}`;
    case 'StaleResultReported':
      return `stale ${event.attempt} ${event.outcome}`;
    case 'AttemptDisclosed':
      return `disclosed ${event.step} ${event.node}#${event.attempt} ${event.outcome ?? event.state}`;
    case 'ReignFenced':
      return `fenced: ${event.node} has seen epoch ${event.epoch} of ${event.lineage}`;
    case 'JobRequeued':
      return `requeued ${event.step} ${event.node}: ${event.reason}`;
    case 'JobSkipped':
      return `skipped ${event.step} ${event.node}: ${event.reason}`;
    case 'JobDeferred':
      return `deferred ${event.step} ${event.node}`;
    case 'RunDeferred':
      return `${event.run} succeeded-with-deferred: ${event.reason}`;
    case 'NodeReturned':
      return `${event.node} returns to ${event.run}`;
    case 'JobFailed':
      return `failed ${event.step} ${event.node}: ${event.reason}`;
    case 'JobHeld':
      return `held ${event.step} ${event.node}: ${event.reason}`;
    case 'JobUnknown':
      return `unknown ${event.step} ${event.node}#${event.attempt}`;
    case 'JobFound':
      return `found ${event.step} ${event.node}#${event.attempt}`;
    case 'JobDecided':
      return `decided ${event.step} ${event.node} ${event.as} by ${event.by}`;
    case 'JobRebooted': {
      const how =
        event.planned === false ? ', not by plan' : event.planned === null ? ', how is not known' : '';
      return `rebooted ${event.step} ${event.node}${how}`;
    }
    case 'ServiceProvided':
      return `service ${event.service} on ${event.node} at ${event.address ?? ''}:${event.port ?? ''}`;
    default:
      return event.type;
  }
}
