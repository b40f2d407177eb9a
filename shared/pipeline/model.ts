/**
 * A pipeline after its file was read: everything resolved that can be resolved without nodes, defaults
 * filled in, expressions checked and kept as text. The coordinator plans from this and from nothing else;
 * it travels whole inside the event that creates a run, so it must stay plain JSON.
 */
import type { OutputType } from '../messages.ts';

export type ParamType = 'string' | 'int' | 'double' | 'bool' | 'json';

export type ParamDeclaration = {
  readonly type: ParamType;
  readonly description?: string;
  readonly default?: unknown;
  /** Allowed values, when only these are allowed. */
  readonly values?: readonly unknown[];
  /** A glob (`*`, `?`, `[a-z]`) that the whole string must match: linear in time, unlike a regular expression. */
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly secret: boolean;
  /** Made once per cluster and pipeline when nothing else gives a value, and kept. Counts are bytes, or characters. */
  readonly generate?: { readonly hex: number } | { readonly password: number } | { readonly uuid: true };
};

export type RoleDeclaration = {
  readonly name: string;
  /** CEL over name, labels, facts; `true` when the file gives none. */
  readonly select: string;
  readonly count?: number;
  /** Label key over whose values `count` nodes are spread. */
  readonly spread?: string;
  readonly except: readonly string[];
  readonly optional: boolean;
  readonly waitForMs?: number;
  /** CEL over name, labels, facts giving a key; the node with the lowest key leads (then by name). */
  readonly prefer?: string;
};

/** `member`, `member.leader`, `member.rest`. */
export type Target = { readonly role: string; readonly who: 'all' | 'leader' | 'rest' };

/** Barrier: every node of the needed step. Same node: only this node's own job there. */
export type Need = { readonly step: string; readonly sameNode: boolean };

/** `3` or `25%`, of whatever the place says. */
export type Amount = { readonly count: number } | { readonly percent: number };

/** The interpreter with its arguments (the script's file comes last) and the text of the script. */
export type ScriptText = { readonly shell: readonly string[]; readonly text: string };

/** A value that may hold `${{ }}`: evaluated when the job is granted. */
export type TemplateValue = {
  readonly template: unknown;
  /** It touches a secret, so what comes out is one. */
  readonly secret: boolean;
};

export type OutputDeclaration = {
  readonly type: OutputType;
  readonly secret: boolean;
  readonly optional: boolean;
};

/** What is executed, after `uses` was resolved; an inline step is a task of its own. */
export type Task = {
  /** CEL, per node; the first task of a step whose `if` holds is taken. Absent: always. */
  readonly if?: string;
  /** `module/task@version` and the digest of the module, for a task that came from one. */
  readonly source?: { readonly uses: string; readonly digest: string };
  /**
   * Typed inputs of a module's task, or of a pipeline that is called. Absent for a step of the pipeline itself: it
   * sees every param that is not secret.
   */
  readonly params?: Readonly<Record<string, ParamDeclaration>>;
  readonly check?: ScriptText;
  readonly run?: ScriptText;
  readonly verify?: { readonly script: ScriptText; readonly everyMs: number; readonly timeoutMs: number };
  /** What `run --check` runs where there is no check: 0 nothing would change, 1 something would, else it failed. */
  readonly preview?: ScriptText;
  /** What carries out `run` beside its interpreter, such as `ansible`. */
  readonly runner?: string;
  /** Digest of the manifest of files laid out beside the script. */
  readonly bundle?: string;
};

/** `idempotent`: go again. `verify-first`: run `check`. `never-twice`: held until an operator decides. */
export type RerunClass = 'idempotent' | 'verify-first' | 'never-twice';

export type Step = {
  readonly id: string;
  readonly title?: string;
  readonly on: readonly Target[];
  /** Complete: the default (the step before it) is already written in. Groups are named by their last step. */
  readonly needs: readonly Need[];
  /** Who carries it out instead of the node that it is for. Absent: that node itself. */
  readonly runOn?: Target;
  /** It runs once for all nodes of this role, its targets; `on` is the one that carries it out. */
  readonly scope?: { readonly role: string };
  readonly if?: string;
  readonly approve?: string;
  /** At least one; more than one when `uses` lists alternatives. */
  readonly tasks: readonly Task[];
  readonly with: Readonly<Record<string, TemplateValue>>;
  readonly until?: { readonly expression: string; readonly everyMs: number };
  readonly timeoutMs: number;
  readonly retry: { readonly attempts: number; readonly backoffMs: number };
  readonly rerun: RerunClass;
  readonly outputs: Readonly<Record<string, OutputDeclaration>>;
  readonly provides?: {
    readonly service: string;
    readonly port?: TemplateValue;
    readonly address?: TemplateValue;
  };
  readonly leaves: 'nothing' | 'daemon';
  readonly offline: 'wait' | 'skip' | 'defer';
  /** Only with `defer`; absent in pipelines of old journals, like everything below that may be absent. */
  readonly deferUntilMs?: number;
  readonly unknownAfterMs: number;
  /** Absent: wait for the truth, within the budget. */
  readonly onUnknown?: 'hold' | 'stop';
  readonly reboot?: 'after';
  /** Also for a reboot that the script asks for by itself. */
  readonly rebootTimeoutMs?: number;
  /** Done on a node when the other steps of the unit have ended there: `rescue` after a failure, `always` however it went. */
  readonly part?: AftermathPart;
};

export type AftermathPart = 'rescue' | 'always';

export type Budgets = {
  readonly maxFailed: Amount;
  readonly maxUnknown: Amount;
  readonly maxUnreachable: Amount;
};

export type Strategy =
  | { readonly kind: 'parallel'; readonly maxParallel?: Amount; readonly budgets: Budgets }
  | {
      readonly kind: 'rolling';
      readonly maxUnavailable: Amount;
      /** How many failure domains may have unavailable nodes at once, and how many nodes in one of them. */
      readonly by?: { readonly label: string; readonly domains: number; readonly perDomain?: number };
      /** Cumulative targets; the last reaches all nodes. */
      readonly waves: readonly Amount[];
      readonly pauseMs: number;
      readonly budgets: Budgets;
    };

/**
 * What a strategy applies to: one step, or a group whose steps each node passes through in order. A group's
 * `verify` is its last step, with id `<group>.verify`; a group's `if` and `approve` stand on the unit. After them come
 * the steps of `rescue`, then those of `always`.
 */
export type Unit = {
  readonly id: string;
  readonly kind: 'step' | 'group';
  readonly title?: string;
  readonly on: readonly Target[];
  readonly approve?: string;
  readonly strategy: Strategy;
  /** When nodes may begin it; always when absent. */
  readonly window?: Window;
  readonly steps: readonly Step[];
  /** Of `finally`: it begins when the outcome of the others is known. */
  readonly finally?: true;
};

/** Open for so long from each time that the cron line means by the clock of the time zone. */
export type Window = { readonly cron: string; readonly timezone: string; readonly durationMs: number };

/** How runs of one group, which is a name within a cluster, stand to each other. */
export type Concurrency = {
  readonly group: string;
  readonly policy: 'queue' | 'reject' | 'replace';
  /** Only with `replace`: what older runs have deferred for the same nodes, and nothing else. */
  readonly per?: 'node';
};

export type Pipeline = {
  readonly name: string;
  readonly title?: string;
  readonly concurrency?: Concurrency;
  readonly params: Readonly<Record<string, ParamDeclaration>>;
  readonly roles: Readonly<Record<string, RoleDeclaration>>;
  readonly units: readonly Unit[];
  /** Modules used, by `name@version`, with the digest that pins each. */
  readonly modules: Readonly<Record<string, string>>;
};
