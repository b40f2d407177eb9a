/**
 * The programs that may run on a simulated host: the versions of the agent, what each can do, and how a bad one
 * fails. All run today's core; an old one neither says nor hears what its protocol did not have (P12).
 */
import { digestOf } from '../../coordinator/sequence/contents.ts';
import { allFeatures } from '../../shared/features.ts';
import type { AgentMessage, CoordinatorMessage } from '../../shared/messages.ts';

export type AgentProgram = {
  readonly version: string;
  readonly digest: string;
  readonly features: readonly string[];
  /** Of the first protocol, before anything was added to it. */
  readonly isOld: boolean;
  /** What becomes of its trial; one that is no good is never anything but on trial. */
  readonly onTrial: 'works' | 'hangs' | 'ends';
};

const program = (version: string, rest: Partial<AgentProgram> = {}): AgentProgram => ({
  version,
  digest: digestOf(`agent ${version}`),
  features: allFeatures,
  isOld: false,
  onTrial: 'works',
  ...rest,
});

const old = program('0.1.0', { features: [], isOld: true });
export const usualProgram = program('0.2.0');
const newest = program('0.4.0');

/** What may have been installed on a host. */
export const installedPrograms: readonly AgentProgram[] = [old, usualProgram, program('0.3.0'), newest];

/** What an operator may offer. */
export const offeredPrograms: readonly AgentProgram[] = [
  program('0.3.0'),
  newest,
  program('0.4.1-hangs', { onTrial: 'hangs' }),
  program('0.4.2-ends', { onTrial: 'ends' }),
];

export const newestProgram = newest;

export const programOf = (digest: string): AgentProgram | undefined =>
  [...installedPrograms, ...offeredPrograms].find((one) => one.digest === digest);

/** What of it the program understands; undefined for a message whose type it does not know. */
export function heardBy(
  { isOld }: AgentProgram,
  message: CoordinatorMessage,
): CoordinatorMessage | undefined {
  if (!isOld) return message;
  switch (message.type) {
    case 'recall':
    case 'upgrade':
      return undefined;
    case 'challenge': {
      const { origin: _origin, ...known } = message;
      return known;
    }
    case 'grant': {
      const { expiresMs: _expiresMs, jobs, ...known } = message;
      return { ...known, jobs: jobs.map(({ reboot: _reboot, ...job }) => job) };
    }
    default:
      return message;
  }
}

/** What of it the program would say; undefined for a message that it does not have. */
export function saidBy({ isOld }: AgentProgram, message: AgentMessage): AgentMessage | undefined {
  if (!isOld) return message;
  switch (message.type) {
    case 'iterated':
    case 'fenced':
    case 'upgrade-failed':
      return undefined;
    case 'hello': {
      const { remembered: _1, rebooting: _2, rebooted: _3, upgradesFailed: _4, ...known } = message;
      return known;
    }
    case 'pull':
      return { ...message, credit: Math.min(message.credit, 1) };
    default:
      return message;
  }
}
