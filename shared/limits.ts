/**
 * Every bound of the product by name, with its unit last, so that an operator who meets one can find it
 * and a reader sees how they relate. Bounds that depend on each other are asserted at the end.
 */
import { assert } from './assert.ts';
import { tellingLimits } from './telling-limits.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const dayMs = 24 * 60 * 60_000;

export const limits = {
  // Pipeline files and what is inside
  pipelineFileBytesMax: 1 * MiB,
  pipelineModelBytesMax: 4 * MiB,
  profilesMax: 200,
  profileParamsMax: 100,
  /** Files that one pipeline is made of. */
  pipelineFilesMax: 50,
  pipelineStepsMax: 500,
  /** Of steps of pipelines that are called by pipelines, each of which gives its name. */
  stepIdLengthMax: 120,
  pipelineParamsMax: 1_000,
  pipelineRolesMax: 500,
  /** Values in one `with`, outputs of one step, params of one task. */
  stepNamesMax: 1_000,
  expressionLengthMax: 4 * KiB,
  expressionNodesMax: 2_000,
  expressionDepthMax: 40,
  /** One unit is about one small operation on one element; a second of work is some tens of millions. */
  expressionCostMax: 2_000_000,
  expressionTextLengthMax: 1 * MiB,
  expressionsCachedMax: 2_000,
  globLengthMax: 256,
  /** Of one node, for `addressOf` from another one. */
  addressesComparedMax: 32,
  /** Longer words get no "did you mean": comparing them would cost more than it helps. */
  wordLengthMax: 100,
  yamlAliasesMax: 100,
  yamlDepthMax: 60,
  yamlTokensMax: 200_000,
  yamlErrorsMax: 10,
  diagnosticsMax: 100,
  bundleFilesMax: 2_000,
  bundleBytesMax: 256 * MiB,
  blobBytesMax: 256 * MiB,
  runNodesMax: 20_000,
  /** As JSON, with quotes and comma; other names are as long. */
  nodeNameBytesMax: 66,
  /** Of one machine, told in `hello`. */
  hardwareMacsMax: 64,
  /** Nodes that are expected, in all files together. */
  nodesExpectedMax: 20_000,
  inventoryFileBytesMax: 1 * MiB,
  /** Machines that had a node's name before: the last ones are kept. */
  formersKept: 32,
  /** Places in all roles of a run together: who is in three roles takes three. */
  runPlacesMax: 100_000,

  // Jobs
  jobTimeoutDefaultMs: 60 * 60_000,
  jobTimeoutMaxMs: 7 * 24 * 60 * 60_000,
  rebootTimeoutDefaultMs: 15 * 60_000,
  deferUntilDefaultMs: 3 * dayMs,
  deferUntilMaxMs: 90 * dayMs,
  retryAttemptsMax: 100,
  /** Of what a failed job printed: the end that `rescue` and the like are told. */
  failureLogTailBytes: 4 * KiB,
  /** Attempts of a job in one lineage; those after a restore count on from the next multiple. */
  attemptsPerLineageMax: 1_000,
  retryBackoffDefaultMs: 5_000,
  untilEveryDefaultMs: 2_000,
  verifyTimeoutDefaultMs: 60_000,
  /** What a job that only verifies has beyond the time of its verify, so that the verify is what ends it. */
  verifyMarginMs: 60_000,
  killGraceMs: 10_000,
  scriptInlineLengthMax: 4_096,
  jobInputInlineBytesMax: 512,
  jobInputsBytesMax: 1 * MiB,
  reasonLengthMax: 2 * KiB,
  outputsBytesMax: 256 * KiB,
  outputValueBytesMax: 64 * KiB,
  outputFileBytesMax: 64 * MiB,
  partsMax: 200,
  partsBytesMax: 32 * KiB,
  partLabelLengthMax: 200,
  partMessageLengthMax: 600,
  attemptLogBytesMax: 16 * MiB,
  attemptLogTailBytes: 64 * KiB,

  // The wire
  messageBytesMax: 1 * MiB,
  frameMessagesMax: 256,
  frameBytesMax: 4 * MiB,
  logChunkBytesMax: 64 * KiB,
  logUnacknowledgedBytesMax: 1 * MiB,
  factsBytesMax: 512 * KiB,
  helloWaitMs: 10_000,
  closeWaitMs: 5_000,
  heartbeatIntervalMs: 15_000,
  reconnectDelayMaxMs: 60_000,
  reconnectDelayMinMs: 250,
  /** What starts runs by itself, and for how many nodes that joined one of its runs is. */
  triggersMax: 128,
  triggerNodesMax: 1_000,
  /** So often a trigger whose last run has not begun is looked at again, at most. */
  triggerRecheckMs: 60_000,
  triggerEveryDefaultMs: 60_000,
  triggerEveryMinMs: 1_000,
  triggerEveryMaxMs: 366 * 86_400_000,
  connectWaitMinMs: 2_000,
  /** Between the addresses of one name. */
  addressAttemptMs: 250,
  networkLookDownMs: 1_000,
  networkLookJoinedMs: 5_000,
  networkTextBytesMax: 64 * KiB,
  /** Nodes whose switch came up do not all come in the same moment. */
  networkSettleMs: 500,
  linkProbeWaitMs: 5_000,
  sleptMsMin: 5_000,
  uplinkBytesPerSecondMin: 1 * KiB,

  // Rehearsals
  rehearsalNodesMax: 5_000,
  rehearsalTurnsMax: 2_000_000,
  /** Simulated time after which a rehearsal ends that does not come to an end. */
  rehearsalMs: 30 * 24 * 3_600_000,
  /** Of whose durations nothing is known. */
  rehearsalJobMs: 10_000,
  rehearsalRebootMs: 120_000,
  rehearsalPastRunsMax: 5,

  // The coordinator
  unknownAfterDefaultMs: 60_000,
  grantsPerTurnMax: 64,
  /** With more events than that one turn ends; the last look may add what one event can hold, and some. */
  turnBytesAim: 16 * MiB,
  segmentJobsMax: 64,
  segmentBytesMax: 256 * KiB,
  segmentExpiryMs: 3 * dayMs,
  commandsPerTurnMax: 128,
  commandsQueuedMax: 50_000,
  commandsQueuedHighWater: 20_000,
  commandsQueuedLowWater: 5_000,
  batchEventsMax: 4_096,
  diskRetryMs: 1_000,
  timerDelayMaxMs: dayMs,
  textsInMemoryBytesMax: 16 * MiB,
  upkeepIntervalMs: 30_000,
  snapshotWaitMs: 10 * 60_000,
  logRetentionIntervalMs: 60 * 60_000,
  blobCollectionIntervalMs: 6 * 60 * 60_000,
  factsInMemoryBytesMax: 48 * MiB,
  connectionsMax: 16_384,
  connectionSweepMs: 1_000,
  joinsPerSecond: 500,
  joinRetryMsMax: 30_000,
  /** Contact timers run at least so long when a reign begins, because agents are let in one after the other. */
  returnGraceMs: 60_000,
  connectionUnsentBytesMax: 4 * MiB,
  logPiecesQueuedMax: 32,
  acknowledgementDelayMs: 5,
  sendSliceMs: 4,
  rejectedRetryMs: 5_000,
  grantAcceptWaitMs: 2 * 60_000,
  /** What a job needs may have to come over a slow link first. */
  grantStartWaitMs: 10 * 60_000,
  complaintsPerMinuteMax: 60,
  runsKeptMax: 50,
  jobsKeptMax: 200_000,
  runsQueuedMax: 1_000,
  httpBodyBytesMax: 4 * MiB,
  httpHeadersWaitMs: 5_000,
  httpRequestWaitMs: 10 * 60_000,
  httpIdleWaitMs: 30_000,
  operatorConnectionsMax: 2_048,
  listenBacklog: 4_096,
  uploadsAtOnceMax: 32,
  followersMax: 1_000,
  followSilenceMs: 5_000,
  logOutlineMs: 500,
  logRestWaitMs: 30_000,
  pageSizeDefault: 100,
  pageSizeMax: 1_000,
  answerJobsMax: 2_000,

  // What is told of runs: in a file of its own
  ...tellingLimits,

  // The command line, as a client of the coordinator
  clientConnectMs: 10_000,
  clientAnswerMs: 60_000,
  clientAnswerBytesMax: 256 * MiB,
  clientUploadsAtOnceMax: 4,
  streamEventBytesMax: 16 * MiB,
  streamSilenceMs: 60_000,
  streamRetryDelayMaxMs: 10_000,
  streamRetryMs: 15 * 60_000,
  watchRefetchMs: 200,
  watchSafetyMs: 10_000,
  watchExplainMs: 1_000,
  watchIterationMs: 30_000,
  watchTailsMax: 8,
  watchTailBytes: 4 * KiB,
  watchTailLines: 12,
  watchTailWaitMs: 3_000,
  logLineBytesMax: 64 * KiB,

  // Storage
  folderLockWaitMs: 10_000,
  complaintLengthMax: 4 * KiB,
  journalSegmentBytesMax: 16 * MiB,
  journalEventBytesMax: 8 * MiB,
  journalBatchBytesMax: 64 * MiB,
  journalPageEventsMax: 1_000,
  journalPageBytesMax: 1 * MiB,
  journalRecentBytesMax: 8 * MiB,
  journalWaitersMax: 10_000,
  journalKeptMs: 30 * dayMs,
  journalKeptBytesMax: 4 * GiB,
  auditKeptMs: 400 * dayMs,
  snapshotsKept: 2,
  snapshotShardsMax: 10_000,
  blobsAtOnceMax: 16,
  blobsQueuedMax: 10_000,
  blobsKnownMax: 20_000,
  blobAgeMinMs: 60 * 60_000,
  /** Uploads that broke and may go on. */
  partialBlobsMax: 64,
  partialBlobsBytesMax: 1 * GiB,
  partialBlobKeptMs: 1 * dayMs,
  secretsMax: 500_000,
  secretValueBytesMax: 8 * MiB,
  secretReferenceLengthMax: 512,
  secretsBytesMax: 128 * MiB,
  secretsSlackBytes: 1 * MiB,
  /** Below these the doctor complains. */
  dataFreeBytesMin: 512 * MiB,
  fsyncSlowMs: 100,
  clockAheadMs: 5_000,
  linksLostPerHourMax: 5,
  certificateExpiresSoonMs: 21 * 24 * 3_600_000,
  /** Fsyncs by which the doctor measures a disk. */
  fsyncProbes: 100,
  backupBlockBytes: 64 * KiB,
  backupCopiesAtOnceMax: 8,
  /** For so long nothing is archived or deleted after whoever copies the data has last said that he is there. */
  upkeepPauseMs: 60_000,
  upkeepPauseRenewMs: 15_000,
  upkeepPausesMax: 16,
  logSegmentBytesMax: 16 * MiB,
  logSegmentSpanMs: 1 * dayMs,
  logRecordBytesMax: 64 * KiB,
  logPendingBytesMax: 16 * MiB,
  logFlushDelayMs: 200,
  logRetryDelayMs: 1_000,
  logAttemptsInMemoryMax: 20_000,
  logIndexesInMemoryMax: 8,
  logFollowersMax: 1_000,
  logKeptMs: 30 * dayMs,
  logKeptBytesMax: 4 * GiB,

  // The agent
  agentJobsHeldMax: 1_000,
  agentFinishedKept: 1_000,
  agentFinishedMax: 20_000,
  /** A result that is longer is not remembered once it was acknowledged, only that it was. */
  agentFinishedResultBytesMax: 2 * KiB,
  agentResultsUnacknowledgedMax: 1_000,
  agentResultsInFlightMax: 16,
  agentLogsWaitingBytesMax: 512 * MiB,
  /** With less, no work is asked for; what is left is for results. */
  agentFreeBytesMin: 64 * MiB,
  /** What results find although nothing is free. */
  agentReserveBytes: 4 * MiB,
  agentPullRecheckMs: 30_000,
  /** How long a reboot waits for the acknowledgement of what led to it, while the link is up. */
  rebootAcknowledgementWaitMs: 10_000,
  /** When the host has not gone down by then, it is told again. */
  rebootAgainMs: 5 * 60_000,
  agentCacheBytesMax: 1 * GiB,
  agentLedgerBytesMax: 1 * MiB,
  agentLineagesMax: 16,
  /** Finished attempts that a node tells of to a coordinator whose data was restored. */
  agentRememberedMax: 3_000,
  agentLabelsMax: 64,
  /** Those that its agent brings and those that operators give together, each key once. */
  labelsPerNodeMax: 256,
  windowDurationMinMs: 60_000,
  windowDurationMaxMs: 31 * 24 * 60 * 60_000,
  /** Windows that follow each other without a break and are taken as one at a time. */
  windowsJoinedMax: 100,
  /** Clusters with a disruption budget. */
  budgetsMax: 1_000,
  retryBackoffMaxMs: 5 * 60_000,
  outputTextBytesMax: 512 * KiB,
  /** Of the file in which a script tells of its parts; what is longer is not read. */
  partsTextBytesMax: 512 * KiB,
  environmentStringBytesMax: 128 * KiB,
  scopeSweepsMax: 20,
  scopePollMs: 50,
  scopeLooksMax: 4,
  scopeLookMs: 5,
  /** Far less than pids take to come round at any rate of forking. */
  scopeQuickScanMs: 1_000,
  scopeQuickScanPidsMax: 512,
  executionPollMs: 200,
  logPollMs: 200,
  /** While much is printed; with the overflow it bounds a log on disk: what is printed between two looks. */
  logPollBusyMs: 20,
  logOverflowBytesMax: 4 * MiB,
  blobRetryDelayMaxMs: 10_000,
  blobIdleMs: 30_000,
  /** A blob that is not longer is sent whole, without a question before it, and not kept when that breaks. */
  blobResumeBytesMin: 256 * KiB,
  blobFetchesAtOnceMax: 8,
  factsWaitMs: 10_000,
  iterationTellMs: 5_000,

  // Upgrades of agents
  upgradeTrialDefaultMs: 2 * 60_000,
  upgradeTrialMaxMs: 60 * 60_000,
  /** For the answer to `--version`. */
  upgradeAnswerMs: 20_000,
  /** For a healthy agent to leave its trial; it has nothing left to do. */
  upgradeLeaveMs: 10_000,
  /** Of a version that was kept; then the one before it takes its place again. */
  upgradeUnprovedStartsMax: 5,
  /** Without a coordinator that it could come to. */
  upgradeProvedAfterMs: 10 * 60_000,
  upgradeFailuresKept: 8,
  upgradesAtOnceDefault: 5,
  upgradesAtOnceMax: 1_000,
} as const;

assert(limits.upgradeTrialDefaultMs <= limits.upgradeTrialMaxMs, 'the default trial is within its bound');
assert(limits.upgradesAtOnceDefault <= limits.upgradesAtOnceMax, 'the default number is within its bound');
assert(limits.jobTimeoutDefaultMs <= limits.jobTimeoutMaxMs, 'the default timeout is within its bound');
assert(
  2 * limits.retryAttemptsMax <= limits.attemptsPerLineageMax,
  'a grant with all its retries fits in a lineage',
);
assert(limits.agentLabelsMax < limits.labelsPerNodeMax, 'operators can label every node');
assert(limits.outputValueBytesMax <= limits.outputsBytesMax, 'one output fits among all outputs');
assert(
  limits.outputsBytesMax + limits.partsBytesMax < limits.messageBytesMax,
  'outputs and parts fit in a message',
);
assert(limits.segmentBytesMax < limits.messageBytesMax, 'a segment fits in a message');
assert(limits.segmentJobsMax <= limits.agentJobsHeldMax, 'an agent can hold a segment');
assert(limits.factsBytesMax < limits.messageBytesMax, 'facts fit in a message');
assert(limits.messageBytesMax <= limits.frameBytesMax, 'a message fits in a frame');
assert(limits.logChunkBytesMax * 2 < limits.messageBytesMax, 'an encoded log chunk fits in a message');
assert(limits.attemptLogTailBytes < limits.attemptLogBytesMax, 'the kept tail is part of the log');
assert(
  limits.commandsQueuedLowWater < limits.commandsQueuedHighWater,
  'reading goes on before the queue is empty',
);
assert(limits.commandsQueuedHighWater < limits.commandsQueuedMax, 'reading stops before the queue is full');
assert(
  (limits.connectionsMax / limits.joinsPerSecond) * 1_000 < limits.returnGraceMs,
  'every agent that fits is let in before it counts as lost',
);
/** `1e20` is written in full when it is written again: five bytes with its comma become 22. */
const rewrittenGrowth = 4.4;
assert(
  limits.messageBytesMax * rewrittenGrowth < limits.secretValueBytesMax,
  'whatever an agent reports as secret can be kept',
);
assert(limits.jobInputsBytesMax <= limits.secretValueBytesMax, 'whatever an operator gives can be secret');
assert(
  limits.pipelineModelBytesMax < limits.journalEventBytesMax,
  'a pipeline fits in the event that creates its run',
);
const inlineValueBytes = 3 * limits.jobInputInlineBytesMax + limits.nodeNameBytesMax + 64;
const referenceBytes = limits.secretReferenceLengthMax + limits.nodeNameBytesMax + 64;
const headBytes = 64 * KiB;
assert(
  limits.pipelineModelBytesMax + limits.pipelineParamsMax * inlineValueBytes + headBytes <
    limits.journalEventBytesMax,
  'an event holds the pipeline and the params of a run',
);
assert(
  limits.runPlacesMax * limits.nodeNameBytesMax +
    limits.pipelineRolesMax * 3 * limits.nodeNameBytesMax +
    headBytes <
    limits.journalEventBytesMax,
  'an event holds the nodes of all roles',
);
assert(
  limits.runNodesMax * limits.nodeNameBytesMax + headBytes < limits.journalEventBytesMax,
  'an event holds a wave',
);
assert(
  (limits.pipelineParamsMax + 2 * limits.stepNamesMax) * Math.max(inlineValueBytes, referenceBytes) +
    headBytes <
    limits.journalEventBytesMax,
  'an event holds what a job is granted with',
);
assert(
  limits.messageBytesMax * rewrittenGrowth + limits.stepNamesMax * referenceBytes + headBytes <
    limits.journalEventBytesMax,
  'an event holds what a job put out',
);
assert(2 * limits.httpBodyBytesMax <= limits.journalEventBytesMax, 'an event holds any other request');
assert(3 * limits.reasonLengthMax < headBytes, 'a reason is a small part of an event');
assert(
  limits.turnBytesAim + 2 * limits.journalEventBytesMax < limits.journalBatchBytesMax,
  'what is decided in one turn fits in a batch',
);
assert(limits.journalEventBytesMax < limits.streamEventBytesMax, 'an event of the journal can be followed');
assert(limits.journalSegmentBytesMax < limits.journalKeptBytesMax, 'more than one segment is kept');
assert(limits.journalKeptMs <= limits.auditKeptMs, 'audit events outlive the rest');
assert(limits.blobBytesMax >= limits.outputFileBytesMax, 'an output file can be stored');
assert(limits.upkeepPauseRenewMs * 2 < limits.upkeepPauseMs, 'a pause is renewed before it ends');
assert(limits.blobBytesMax <= limits.partialBlobsBytesMax, 'every upload may break and go on');
assert(limits.logChunkBytesMax <= limits.logRecordBytesMax, 'a chunk fits in one record');
assert(limits.logRecordBytesMax < limits.logPendingBytesMax, 'more than one record can wait for the disk');
assert(limits.secretValueBytesMax < limits.secretsBytesMax, 'more than one secret can be kept');
assert(limits.logFlushDelayMs <= 1_000, 'log acknowledgements come within a second');
assert(limits.outputsBytesMax <= limits.outputTextBytesMax, 'the file of outputs holds every allowed output');
assert(2 * limits.agentReserveBytes <= limits.agentFreeBytesMin, 'a node that asks for work has a reserve');
assert(limits.agentFinishedKept <= limits.agentFinishedMax, 'what must be remembered fits');
assert(limits.attemptLogTailBytes <= limits.logOverflowBytesMax, 'a cut log has its tail on disk');
assert(limits.linkProbeWaitMs < 2 * limits.heartbeatIntervalMs, 'a probe is quicker than heartbeats');
assert(limits.connectWaitMinMs < limits.helloWaitMs, 'patience with a coordinator can grow');
assert(limits.logChunkBytesMax <= limits.logUnacknowledgedBytesMax, 'one chunk may always be in flight');
