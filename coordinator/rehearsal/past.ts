/**
 * What earlier runs of the same pipeline tell a rehearsal: how long each step took, and what it put out. A step that
 * never ran, and that nobody says anything of, is assumed to take `rehearsalJobMs`.
 */
import { limits } from '../../shared/limits.ts';
import type { OutputDeclaration, Step } from '../../shared/pipeline/model.ts';
import type { Chances } from './chances.ts';

export type PastJob = {
  readonly step: string;
  readonly durationMs: number;
  readonly outputs: Readonly<Record<string, unknown>>;
};

export class Past {
  readonly #chances: Chances;
  readonly #declared: ReadonlyMap<string, number>;
  readonly #outputs: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly #durations = new Map<string, number[]>();
  readonly #lastOutputs = new Map<string, Readonly<Record<string, unknown>>>();

  /** `jobs` of the newest run first; `declared` and `outputs` by step, which win over what was. */
  constructor(
    jobs: readonly PastJob[],
    declared: ReadonlyMap<string, number>,
    outputs: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
    chances: Chances,
  ) {
    this.#chances = chances;
    this.#declared = declared;
    this.#outputs = outputs;
    for (const { step, durationMs, outputs: was } of jobs) {
      const durations = this.#durations.get(step);
      if (durations === undefined) this.#durations.set(step, [durationMs]);
      else durations.push(durationMs);
      if (!this.#lastOutputs.has(step) && Object.keys(was).length > 0) this.#lastOutputs.set(step, was);
    }
    for (const durations of this.#durations.values()) durations.sort((a, b) => a - b);
  }

  /** Whether the step's durations are neither declared nor known from an earlier run. */
  isAssumed(step: string): boolean {
    return !this.#declared.has(step) && !this.#durations.has(step);
  }

  /** One of those that were, by chance; within a fifth of what is declared or assumed. */
  durationOf(step: string, node: string): number {
    const draw = this.#chances.fraction(`duration ${step} ${node}`);
    const declared = this.#declared.get(step);
    const was = this.#durations.get(step);
    if (declared === undefined && was !== undefined) return was[Math.floor(draw * was.length)] ?? 0;
    return Math.round((declared ?? limits.rehearsalJobMs) * (0.8 + 0.4 * draw));
  }

  outputsOf(step: Step): Record<string, unknown> {
    const known = { ...this.#lastOutputs.get(step.id), ...this.#outputs.get(step.id) };
    return Object.fromEntries(
      Object.entries(step.outputs).map(([name, declaration]) => [
        name,
        isUsable(known[name], declaration) ? known[name] : placeholderOf(step.id, name, declaration),
      ]),
    );
  }
}

function isUsable(value: unknown, { type, secret }: OutputDeclaration): boolean {
  if (value === undefined || secret) return false;
  if (type === 'int') return typeof value === 'number';
  if (type === 'bool') return typeof value === 'boolean';
  return type === 'json' || typeof value === 'string';
}

/** SHA-256 of nothing: a file of a rehearsal is empty. */
const emptyDigest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function placeholderOf(step: string, name: string, { type }: OutputDeclaration): unknown {
  switch (type) {
    case 'int':
      return 1;
    case 'bool':
      return true;
    case 'json':
      return {};
    case 'file':
      return emptyDigest;
    case 'string':
      return `${step}-${name}`;
  }
}
