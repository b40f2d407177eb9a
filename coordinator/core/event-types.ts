/** Which types of event there are, for those who meet one that was stored. The compiler says when one is missing. */
import type { EventType } from './events.ts';

/** Every type, and whether it is kept longer than the rest: what an operator did or allowed. */
const isAudit = {
  ReignBegan: true,
  TokenCreated: true,
  TokenRevoked: true,
  NodeJoined: true,
  NodeConnected: false,
  NodeDisconnected: false,
  NodeUnreachable: false,
  FactsReported: false,
  NodeLabelled: true,
  NodeAdministered: true,
  NodeRemoved: true,
  AgentOffered: true,
  AgentUpgradeBegan: false,
  AgentUpgradeFailed: false,
  ParamSet: true,
  ParamUnset: true,
  ModulePinned: true,
  RunCreated: true,
  RunPlanned: false,
  RunStarted: false,
  ApprovalRequested: false,
  ApprovalGiven: true,
  ApprovalRejected: true,
  LeaderElected: true,
  WaveOpened: false,
  SlotTaken: false,
  SlotReleased: false,
  RunFailing: false,
  RunHeld: false,
  RunResumed: true,
  RunCancelRequested: true,
  RunEnded: true,
  RunArchived: false,
  NodeLeft: false,
  StepOpened: false,
  JobGranted: false,
  JobStarted: false,
  AttemptEnded: false,
  StaleResultReported: false,
  JobRequeued: false,
  JobSkipped: false,
  JobFailed: false,
  JobHeld: false,
  JobRebooted: false,
  JobDeferred: false,
  RunDeferred: false,
  NodeReturned: false,
  JobUnknown: false,
  JobFound: false,
  JobDecided: true,
  ServiceProvided: false,
} as const satisfies Record<EventType, boolean>;

/** Whether this version knows the type; one that it does not know was written by a newer version. */
export const isKnownType = (type: string): type is EventType => Object.hasOwn(isAudit, type);

export const isAuditEvent = ({ type }: { readonly type: string }): boolean =>
  isKnownType(type) && isAudit[type];
