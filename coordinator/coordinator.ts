/**
 * The coordinator put together: opens what is on disk, recovers the state, begins a reign, then lets agents and
 * operators in. The parts know each other only through what is handed to them here.
 */
import { randomBytes } from 'node:crypto';
import { canonicalJson } from '../shared/canonical-json.ts';
import { limits } from '../shared/limits.ts';
import type { CoordinatorConfig } from './config.ts';
import { mayBeCarriedOutByOthers } from './core/executors.ts';
import { originOf } from './core/restoration.ts';
import type { Token } from './core/state.ts';
import { createApi } from './http/api.ts';
import type { Admission, ApiPorts } from './http/ports.ts';
import { listen } from './http/server.ts';
import { viewRun } from './http/views/run.ts';
import { viewNote } from './http/views/run-note.ts';
import { follow } from './journal/port.ts';
import type { Logger } from './log.ts';
import { LogExchange } from './log-exchange.ts';
import { createMetrics } from './metrics.ts';
import { Notifier } from './notify/notifier.ts';
import { giveOperatorAccess } from './operator-access.ts';
import { startClock } from './sequence/clock.ts';
import { Contents, digestOf } from './sequence/contents.ts';
import { eventsOf, openDisk, storeOf } from './sequence/disk.ts';
import { RecentNames } from './sequence/recent-names.ts';
import { recoverState } from './sequence/recovery.ts';
import { Upkeep } from './sequence/upkeep.ts';
import { Sequencer } from './sequencer.ts';
import { bearerOf, createToken, verifyToken } from './trust/tokens.ts';
import { Gateway } from './ws/gateway.ts';

export type CoordinatorOptions = {
  readonly config: CoordinatorConfig;
  readonly version: string;
  readonly log: Logger;
  /** After this nothing works any more, and the process has to end. It is logged already. */
  readonly onFatal: (what: 'storage' | 'invariant') => void;
};

export type RunningCoordinator = {
  readonly url: string;
  /** Ends everything in order. What was acknowledged is on disk in any case. */
  close(): Promise<void>;
};

export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return { url: await open(options, (closer) => closers.push(closer)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Closer = () => void | Promise<void>;

/** Gives the address. What it opens is closed by `closing`'s, the last one first. */
async function open(options: CoordinatorOptions, closing: (closer: Closer) => void): Promise<string> {
  const { config, version, log } = options;
  const fatal = (what: 'storage' | 'invariant', error: unknown): void => {
    log.fatal(
      { err: error },
      what === 'storage' ? 'the disk cannot be trusted any more' : 'a broken invariant',
    );
    options.onFatal(what);
  };

  const disk = await openDisk(config, log);
  closing(() => disk.close());
  const { journal, blobs, secrets, places } = disk;
  const { state, snapshotSeq, passedOver } = await recoverState(journal, places.snapshots);
  for (const why of passedOver) log.warn(why);
  log.info({ seq: state.seq, snapshot: snapshotSeq, lineage: journal.lineage }, 'recovered the state');

  const clock = startClock(state.at);
  const contents = new Contents({
    text: (digest) => blobs.textSync(digest),
    secret: (reference) => secrets.get(reference),
    secretRoom: () => secrets.room(),
    logTail: (attempt, bytes) => logs.tailNow(attempt, bytes),
  });
  const metrics = createMetrics({
    queued: () => sequencer.queued,
    agents: () => gateway.agents,
    stalled: () => gateway.stalled,
    durableSeq: () => sequencer.durableSeq,
    diskFull: () => sequencer.stalled !== null,
  });
  const admit = (authorization: string | undefined): Admission =>
    admitHolder(state.tokens, bearerOf(authorization), clock.now());
  const logs = await LogExchange.open({
    folder: places.logs,
    state,
    now: clock.now,
    acknowledge: (durable) => gateway.acknowledgeLogs(durable),
    onBroken: (error) => fatal('storage', error),
    log,
  });
  closing(() => logs.close());
  const gateway = new Gateway({
    admit: (authorization) => onlyToJoin(admit(authorization)),
    reign: () => ({ lineage: state.lineage, epoch: state.epoch }),
    origin: () => originOf(state),
    post: (command, settle) => sequencer.post(command, settle),
    congested: () => sequencer.congested,
    reportFacts: (node, facts) => {
      const text = canonicalJson(facts);
      if (Buffer.byteLength(text) > limits.factsBytesMax) return 'too-large';
      const digest = digestOf(text);
      return sequencer.post({ type: 'ReportFacts', node, digest }, null, { digest, text })
        ? 'posted'
        : 'full';
    },
    takeLog: (piece) => logs.take(piece),
    carriesOut: (attempt) => mayBeCarriedOutByOthers(state, attempt),
    onLogFailure: (error) => fatal('storage', error),
    secret: contents.secret,
    now: clock.now,
    warn: (what, details) => log.warn(details, what),
  });
  const sequencer = new Sequencer({
    state,
    contents,
    clock,
    store: storeOf(disk, contents),
    edge: gateway,
    recoverTo: async (seq) => (await recoverState(journal, places.snapshots, seq)).state,
    onFatal: fatal,
    onBatch: metrics.observeBatch,
    onDiskFull: (error) => {
      if (error === null) log.info('there is space on the disk again');
      else log.error(`${error.message}; nothing is granted or accepted until then`);
    },
  });
  closing(() => sequencer.close());
  // Closed before the sequencer, but its connections end later: they are not journaled as lost.
  closing(() => gateway.close());
  sequencer.start();
  await sequencer.submit({ type: 'BeginReign', lineage: journal.lineage, epoch: state.epoch + 1, version });

  const recentNames = new RecentNames();
  const upkeep = new Upkeep({
    dataFolder: config.dataFolder,
    retention: config.retention,
    disk,
    sequencer,
    clock,
    recentNames,
    retainLogs: (policy) => logs.retain(policy),
    describeRun: (run) => ({
      ...viewRun(run, contents, true, () => undefined),
      note: viewNote(run, contents),
    }),
    log,
  });
  closing(() => upkeep.close());
  const notifier = await Notifier.start({
    file: places.told,
    means: { programsFolder: config.programsFolder, sendmail: config.sendmail, secret: contents.secret },
    lineage: journal.lineage,
    follow: (from, signal) => follow(journal, from, signal),
    oldest: () => journal.oldest(),
    read: (view) => sequencer.read(view),
    now: clock.now,
    warn: (what) => log.warn(what),
  });
  closing(() => notifier.close());
  const ending = new AbortController();
  const ports: ApiPorts = {
    version,
    now: clock.now,
    sequencer,
    lookup: contents,
    events: eventsOf(disk),
    blobs: {
      put: (content) => blobs.put(content),
      has: (digest) => blobs.has(digest),
      read: (digest) => blobs.read(digest),
      stream: (digest, range) => blobs.stream(digest, range),
      putStream: (chunks) => blobs.putStream(chunks),
      putPart: (digest, part, chunks) => blobs.putPart(digest, part, chunks),
      offset: (digest) => blobs.offset(digest),
      missing: async (digests) => {
        const asked = [...digests];
        recentNames.note(asked, clock.now());
        return blobs.missing(asked);
      },
    },
    logs,
    upkeep,
    notifier,
    metrics,
    admit,
    createToken,
    dropToken: (token) => gateway.dropToken(token),
    agents: () => gateway.agents,
    stallOf: (node) => gateway.stallOf(node),
    iterationOf: (node) => gateway.iterationOf(node),
    ending: ending.signal,
    onStreamError: (error) => log.warn({ err: error }, 'an answer had to be broken off'),
    random: (bytes) => randomBytes(bytes).toString('hex'),
  };
  const api = createApi(ports, (error) =>
    log.error({ err: error }, 'a request met a fault of the coordinator'),
  );
  const listener = await listen({ ...config, api, upgrade: gateway.upgrade });
  closing(() => {
    ending.abort();
    listener.close();
  });
  const { tokens } = state;
  await giveOperatorAccess({
    file: places.operator,
    url: urlOf(isAnyAddress(config.host) ? '127.0.0.1' : config.host, listener.port),
    tokens,
    now: clock.now(),
    submit: (command) => sequencer.submit(command),
  });
  return urlOf(config.host, listener.port);
}

function admitHolder(
  tokens: ReadonlyMap<string, Token>,
  presented: string | undefined,
  now: number,
): Admission {
  if (presented === undefined)
    return { ok: false, code: 'unauthorized', detail: 'say who you are: Authorization: Bearer <token>' };
  const token = verifyToken(tokens, presented, now);
  if (token !== undefined) return { ok: true, token: token.id, kind: token.kind };
  const detail =
    'the token is not known here, was revoked or has expired; `lockstep token create` makes another';
  return { ok: false, code: 'unauthorized', detail };
}

const onlyToJoin = (admission: Admission): Admission =>
  admission.ok && admission.kind !== 'join'
    ? {
        ok: false,
        code: 'forbidden',
        detail: 'agents join with a token of kind join, this one is for operators',
      }
    : admission;

const isAnyAddress = (host: string): boolean => host === '0.0.0.0' || host === '::';

const urlOf = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
