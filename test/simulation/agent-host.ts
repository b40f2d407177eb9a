/** What an agent's process has of the host that it runs on. */
import type { LedgerRecord } from '../../agent/core/ledger.ts';
import type { AgentMessage, CoordinatorMessage } from '../../shared/messages.ts';
import type { Random } from '../coordinator/core/random-pipeline.ts';
import type { AgentProgram } from './agent-programs.ts';
import type { AgentEnd, Connection } from './connection.ts';
import type { AttemptFolder, ExecutionFolder, HostDisk } from './host-disk.ts';
import type { Judge } from './judge.ts';
import type { Script } from './script.ts';
import type { Life, Timeline } from './timeline.ts';

export type AgentHost = {
  readonly id: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly isDiskless: boolean;
  readonly mayReboot: boolean;
  readonly boot: string;
  readonly disk: HostDisk;
  /** What the service manager starts. */
  readonly installed: AgentProgram;
  readonly freeBytes: number;
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly judge: Judge;
  /** Undefined when it is refused at once. */
  readonly network: {
    dial(host: AgentHost, life: Life, end: AgentEnd): Connection | undefined;
    /** Null when the coordinator does not have it, undefined when there is no coordinator. */
    fetch(host: AgentHost, digest: string): string | null | undefined;
    /** False when there is no coordinator to take it. */
    upload(host: AgentHost, digest: string, text: string): boolean;
  };
  spawn(attempt: string, folder: AttemptFolder, execution: ExecutionFolder): void;
  scriptOf(execution: ExecutionFolder): Script | undefined;
  rebootSoon(): void;
  /** As a service manager does after the agent has ended by itself. */
  restartAgentLater(): void;
  /** These records are on the disk. */
  keep(records: readonly LedgerRecord[]): void;
  tookGrant(grant: CoordinatorMessage & { readonly type: 'grant' }, records: readonly LedgerRecord[]): void;
  said(message: AgentMessage): void;
};
