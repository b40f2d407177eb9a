/**
 * Whatever operators ask for, however long or many: what is decided can be written, stored and sent. A
 * failure prints the command that repeats it.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Command, Decision } from '../../../coordinator/core/commands.ts';
import { grantMessage } from '../../../coordinator/ws/grant.ts';
import { limits } from '../../../shared/limits.ts';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { World } from './world.ts';

const by = 'operator:ann';
const nodes = ['n1', 'n2', 'n3'];
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

const text = fc
  .tuple(
    fc.constantFrom('x', '€', '"', '\u0001', '𝄞'),
    fc.constantFrom(0, 1, 100, 171, 512, 513, 5_000, 60_000, 180_000, 350_000, 1_048_000, 1_100_000),
  )
  .map(([character, length]) => character.repeat(length));

/** One secret param, one open one, and so many values made of both, some of them long. */
const pipeline = fc
  .record({ values: fc.constantFrom(0, 1, 30, 1_000), literal: text, shell: fc.boolean(), if: fc.boolean() })
  .map(({ values, literal: long, shell, if: hasIf }) => {
    // A file has at most a mebibyte.
    const literal = long.slice(0, 1_000_000 / Math.max(4, values));
    const sources = ['${{ params.key }}', '${{ params.key + params.key }}', '${{ params.open }}', literal];
    const given = Array.from({ length: values }, (_, index) => [
      `v${index}`,
      sources[index % sources.length],
    ]);
    const step = {
      on: 'all',
      with: Object.fromEntries(given),
      run: shell ? literal || 'echo' : 'echo',
      rerun: 'idempotent',
      ...(hasIf ? { if: `node.name == "n1" || "${'x'.repeat(1_000)}" == ""` } : {}),
    };
    return JSON.stringify({
      kind: 'pipeline',
      name: 'p',
      params: { key: { type: 'string', secret: true, default: 'k' }, open: { default: 'o' } },
      roles: { all: {} },
      steps: [
        { ...step, id: 'a', approve: literal.slice(0, 1_000) || 'sure?' },
        { ...step, id: 'b', needs: [{ step: 'a', same: 'node' }] },
      ],
    });
  });

const created = fc
  .record({ text: pipeline, key: fc.option(text), open: fc.option(text) })
  .map((made): Command | null => {
    const parsed = parsePipeline({ file: 'p.yaml', text: made.text });
    if (!parsed.ok || bytesOf(parsed.pipeline) > limits.pipelineModelBytesMax) return null;
    const params = {
      ...(made.key === null ? {} : { key: made.key }),
      ...(made.open === null ? {} : { open: made.open }),
    };
    const more = { cluster: 'default', generated: {}, limit: null, checkOnly: false, by };
    return { type: 'CreateRun', pipeline: parsed.pipeline, params, ...more };
  });

const run = fc.integer({ min: 1, max: 4 }).map((number) => `r${number}`);
const scope = fc.constantFrom({ cluster: 'default' }, { node: 'n1' }, { node: 'n2' });
const set = fc.record({ scope, name: fc.constantFrom('key', 'open'), value: text, secret: fc.boolean() });

const command: fc.Arbitrary<Command | null> = fc.oneof(
  { arbitrary: created, weight: 3 },
  { arbitrary: set.map((made) => ({ type: 'SetParam', ...made, by }) as const), weight: 2 },
  fc.record({ run, reason: text }).map((made) => ({ type: 'ApproveUnit', unit: 'a', ...made, by }) as const),
  fc.record({ run, reason: text }).map((made) => ({ type: 'CancelRun', ...made, by }) as const),
  fc
    .record({ run, reason: text, kind: fc.constantFrom('continue', 'retry-failed', 'accept-failed') })
    .map(({ kind, ...made }) => ({ type: 'ResumeRun', how: { kind }, ...made, by }) as const),
  fc
    .record({
      node: fc.constantFrom(...nodes),
      reason: text,
      administration: fc.constantFrom('cordoned', 'in-service'),
    })
    .map((made) => ({ type: 'AdministerNode', ...made, by }) as const),
  fc
    .record({
      run,
      node: fc.constantFrom(...nodes),
      reason: text,
      as: fc.constantFrom('succeeded', 'failed', 'again'),
    })
    .map(
      ({ run: id, node, ...made }) => ({ type: 'DecideJob', job: `${id}/a/${node}`, ...made, by }) as const,
    ),
);

/** Looks at all that leaves the core. */
class Scales extends World {
  override take(decision: Decision): void {
    super.take(decision);
    if (decision.ok) {
      for (const event of decision.events)
        this.weigh(event.type, bytesOf(event), limits.journalEventBytesMax);
      this.weigh('a decision', bytesOf(decision.events), limits.journalBatchBytesMax);
      for (const { reference, value } of decision.secrets) {
        this.weigh('a secret', Buffer.byteLength(value), limits.secretValueBytesMax);
        this.weigh('a reference', reference.length, limits.secretReferenceLengthMax);
      }
    }
    for (const effect of decision.effects) {
      if (effect.kind !== 'grant') continue;
      const message = grantMessage(effect.jobs, { lineage: 'test', epoch: 1 }, this.lookup.secret);
      this.weigh('a grant', bytesOf(message), limits.messageBytesMax);
    }
  }

  weigh(what: string, bytes: number, max: number): void {
    if (bytes > max) throw new Error(`${what} has ${bytes} bytes, more than ${max}`);
  }
}

t.test('whatever is asked, what is decided fits', (t) => {
  let grants = 0;
  let refusals = 0;
  const commandsOfStory = fc.array(command, { minLength: 4, maxLength: 14 });
  // Without somebody who says yes to everything, few stories come to a grant.
  const property = fc.property(commandsOfStory, fc.boolean(), (commands, approves) => {
    const world = new Scales();
    world.credit = 4;
    for (const node of nodes) world.connect(node);
    for (const each of commands) {
      if (each === null) continue;
      if (world.command(each) !== undefined) refusals += 1;
      for (const id of approves ? world.state.activeRuns.keys() : [])
        world.command({ type: 'ApproveUnit', run: id, unit: 'a', by, reason: '' });
      for (const node of nodes) {
        if (world.attemptOn(node) === undefined) continue;
        grants += 1;
        world.finish(node, each.type === 'SetParam' ? 'failed' : 'succeeded');
      }
    }
  });
  const only = process.env.LOCKSTEP_SEED;
  // Not `assert`: it would print the counterexample, which is megabytes.
  const { failed, seed, errorInstance } = fc.check(property, {
    numRuns: 30,
    ...(only === undefined ? {} : { seed: Number(only) }),
  });
  t.notOk(
    failed,
    `${String(errorInstance)}: LOCKSTEP_SEED=${seed} npx tap run test/coordinator/core/random-sizes.test.ts`,
  );
  t.ok(grants > 5 && refusals > 5, `${grants} jobs were granted, ${refusals} commands refused`);
  t.end();
});
