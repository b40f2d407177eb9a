/**
 * Scripts of what happens to a cluster and what the core makes of it, as text that can be read aloud:
 *
 *   command [arguments]
 *   [more lines, such as a pipeline]
 *   ----
 *   what came of it, one line each
 *
 * Blocks are separated by blank lines, `#` begins a comment. LOCKSTEP_REWRITE=1 writes what really came of it
 * into the files: read the difference before you believe it.
 */

import { countDeferrals } from '../../coordinator/core/deferral-count.ts';
import type { Expectation } from '../../coordinator/core/expectation.ts';
import { explainExpected, explainNode, explainRun } from '../../coordinator/core/explain.ts';
import { previewPlan } from '../../coordinator/core/plan-preview.ts';
import { runStateOf } from '../../coordinator/core/shown-states.ts';
import { outcomes } from '../../shared/attempt-result.ts';
import { formatDiagnostic } from '../../shared/diagnostic.ts';
import { parseAmount } from '../../shared/pipeline/amount.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import { parsePipeline } from '../../shared/pipeline/pipeline.ts';
import { World } from '../coordinator/core/world.ts';
import { formatEvent } from './event-words.ts';

export type Block = { comment: string[]; command: string; body: string[]; expected: string[]; line: number };

export function parseScenario(text: string): Block[] {
  const blocks: Block[] = [];
  let current: Block | undefined;
  let comment: string[] = [];
  let inExpected = false;
  for (const [index, line] of text.split('\n').entries()) {
    if (current === undefined) {
      if (line === '' || line.startsWith('#')) comment.push(line);
      else {
        current = { comment, command: line, body: [], expected: [], line: index + 1 };
        comment = [];
        inExpected = false;
      }
    } else if (!inExpected && line === '----') inExpected = true;
    else if (!inExpected) current.body.push(line);
    else if (line === '') {
      blocks.push(current);
      current = undefined;
      comment = [''];
    } else current.expected.push(line);
  }
  if (current !== undefined) blocks.push(current);
  return blocks;
}

export const formatScenario = (blocks: readonly Block[], actual: readonly string[][]): string =>
  `${blocks
    .map(({ comment, command, body }, index) =>
      [...comment, command, ...body, '----', ...(actual[index] ?? [])].join('\n'),
    )
    .join('\n')}\n`;

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function milliseconds(text: string): number {
  const match = /^(\d+)(ms|s|m|h)$/.exec(text);
  const unit = durations[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw new Error(`not a duration: ${text}`);
  return Number(match[1]) * unit;
}

export class Scenario {
  readonly world = new World();
  #seen = 0;
  #backup = 0;

  perform(block: Block): string[] {
    const [name = '', ...args] = block.command.split(/\s+/);
    const output = this.#command(name, args, block.body.join('\n'));
    const events = this.world.events.slice(this.#seen);
    this.#seen = this.world.events.length;
    const lines = events.map(formatEvent).filter((line) => line !== undefined);
    for (const { node, attempt, reason } of this.world.cancels.splice(0)) {
      this.#pendingCancels.push({ node, attempt });
      lines.push(`cancel sent to ${node} for ${attempt}: ${reason}`);
    }
    for (const { node, attempts, reason } of this.world.recalls) {
      lines.push(`recall sent to ${node} for ${attempts.join(' ')}: ${reason}`);
    }
    this.#pendingRecalls.push(...this.world.recalls.splice(0));
    for (const reason of this.world.rejections.splice(0)) lines.push(`rejected: ${reason}`);
    return [...lines, ...output];
  }

  /** `machine NAME [INCARNATION] [serial=…] [uuid=…] [mac=…]`: an agent that says which machine it is on. */
  #connectMachine(name: string, args: readonly string[]): void {
    const { world } = this;
    const [, word] = args.filter((arg) => !arg.includes('='));
    const { serial, uuid, mac } = paramsOf(args);
    const before = [
      world.incarnations.get(name),
      world.counters.get(name),
      world.held.get(name),
      world.bootOf(name),
    ] as const;
    const incarnation = `inc-${word ?? name}-1`;
    if (before[0] !== incarnation) {
      world.incarnations.set(name, incarnation);
      world.counters.set(name, 0);
      world.held.delete(name);
      world.boots.set(name, `boot-${incarnation}`);
    }
    world.connect(
      name,
      {},
      {
        hardware: {
          ...(serial === undefined ? {} : { serial: String(serial) }),
          ...(uuid === undefined ? {} : { uuid: String(uuid) }),
          ...(mac === undefined ? {} : { macs: [String(mac)] }),
        },
      },
    );
    if (world.welcomed !== null || before[0] === incarnation) return;
    world.incarnations.delete(name);
    if (before[0] !== undefined) world.incarnations.set(name, before[0]);
    world.counters.set(name, before[1] ?? 0);
    world.held.set(name, before[2] ?? []);
    world.boots.set(name, before[3]);
  }

  readonly #pendingCancels: { node: string; attempt: string }[] = [];
  readonly #pendingRecalls: World['recalls'] = [];

  #command(name: string, args: readonly string[], body: string): string[] {
    const { world } = this;
    const [first = '', second = '', ...rest] = args;
    const by = 'operator:ann';
    const answer = (fault: string | undefined): string[] =>
      fault === undefined ? [] : fault.split('\n').map((line) => `error: ${line}`);
    switch (name) {
      case 'nodes':
        for (const [index, node] of args.filter((arg) => !arg.includes('=')).entries()) {
          const labels = args
            .filter((arg) => arg.includes('='))
            .map((arg) => {
              const [key = '', values = ''] = arg.split('=');
              const list = values.split(',');
              return [key, list[Math.min(index, list.length - 1)] ?? ''] as const;
            });
          world.connect(node, Object.fromEntries(labels.filter(([, value]) => value !== '-')));
        }
        return [];
      case 'run': {
        const pipeline = parse(body);
        if (!pipeline.ok) return pipeline.lines;
        return answer(world.run(pipeline.pipeline, paramsOf(args)));
      }
      case 'run-from':
      case 'run-check': {
        const pipeline = parse(body);
        if (!pipeline.ok) return pipeline.lines;
        const more = name === 'run-from' ? { from: first } : { checkOnly: true, limit: first || null };
        return answer(world.run(pipeline.pipeline, {}, 'default', more));
      }
      case 'plan-from':
      case 'plan': {
        const pipeline = parse(body);
        if (!pipeline.ok) return pipeline.lines;
        return formatPlan(world, pipeline.pipeline, first || null);
      }
      case 'finish': {
        const outcome = outcomes.find((one) => one === (second || 'succeeded'));
        if (outcome === undefined) throw new Error(`unknown outcome ${second}`);
        if (world.attemptOn(first) === undefined) return [`${first} has no job`];
        world.finish(first, outcome, {
          outputs: paramsOf(rest) as Record<string, string>,
          ...(rest.includes('rebooting') ? { reboot: { boot: world.bootOf(first) } } : {}),
        });
        return [];
      }
      case 'finish-all': {
        // Every job that is out now ends, in order of names; what is granted meanwhile stays out.
        const out = [...world.held].filter(([, held]) => held.length > 0).map(([node]) => node);
        for (const node of out) world.finish(node, 'succeeded');
        return [];
      }
      case 'prints': {
        // What the job that the node carries out has printed.
        world.printed.set(world.attemptOn(first) ?? '', [second, ...rest].join(' ').replaceAll('\\n', '\n'));
        return [];
      }
      case 'told': {
        // What the scripts of the node's job are told of what ended before it.
        const [job] = world.held.get(first) ?? [];
        return Object.entries(job?.job.environment ?? {})
          .filter(([name]) => /_(OUTCOME|REASON|FAILURE_\w+)$/.test(name))
          .map(([name, value]) => `${name}=${value.replaceAll('\n', '\\n')}`);
      }
      case 'retry':
        world.retry(first);
        return [];
      case 'report': {
        const outcome = outcomes.find((one) => one === second);
        if (outcome === undefined) throw new Error(`unknown outcome ${second}`);
        const boot = paramsOf(rest).rebooting;
        const node = first.split('#')[0]?.split('/')[2] ?? '';
        world.held.set(
          node,
          (world.held.get(node) ?? []).filter(({ attempt }) => attempt !== first),
        );
        world.report(node, first, outcome, {
          ...(boot === undefined ? {} : { reboot: { boot: String(boot) } }),
        });
        world.pull(node);
        return [];
      }
      case 'obey': {
        for (const cancel of this.#pendingCancels.splice(0)) {
          world.cancels.push({ ...cancel, reason: '' });
        }
        world.obeyCancels();
        world.recalls.push(...this.#pendingRecalls.splice(0));
        world.obeyRecalls();
        return [];
      }
      case 'reboot': {
        // `reboot NODE ATTEMPT by-plan|by-accident`, or without a word of how on a diskless node.
        world.disconnect(first);
        world.boots.set(first, `${world.bootOf(first)}+`);
        const rebooted = { attempt: second, planned: rest[0] === 'by-plan' };
        world.connect(first, {}, second === '' ? {} : { rebooted });
        return [];
      }
      case 'credit':
        world.credit = Number(first);
        return [];
      case 'silently':
        // The job succeeds on a node whose link is down.
        world.finishSilently(first);
        return [];
      case 'start':
        world.start(first);
        return [];
      case 'backup':
        this.#backup = world.events.length;
        return [];
      case 'restore':
        this.#seen = this.#backup;
        world.restore(this.#backup, first);
        return [];
      case 'silence':
        world.mute.add(first);
        return [];
      case 'fence':
        return answer(
          world.command({ type: 'ReportNewerReign', node: first, lineage: second, epoch: Number(rest[0]) }),
        );
      case 'connect':
        for (const node of args) world.connect(node);
        return [];
      case 'connect-old':
        for (const node of args) world.connect(node, {}, { version: '0.1.0', features: [] });
        return [];
      case 'connect-rebooting':
        world.connect(first, {}, { rebooting: second });
        return [];
      case 'disconnect':
        for (const node of args) world.disconnect(node);
        return [];
      case 'lose':
        // With the link goes the grant that was on its way.
        world.held.delete(first);
        world.disconnect(first);
        return [];
      case 'reimage': {
        const before = [
          world.held.get(first),
          world.incarnations.get(first),
          world.counters.get(first),
        ] as const;
        world.held.delete(first);
        world.incarnations.set(first, `inc-${first}-again`);
        world.counters.set(first, 0);
        world.boots.set(first, `${world.bootOf(first)}+`);
        world.connect(first);
        if (world.rejections.length === 0) return [];
        world.held.set(first, before[0] ?? []);
        world.incarnations.set(first, before[1] ?? '');
        world.counters.set(first, before[2] ?? 0);
        return [];
      }
      case 'expect':
        return answer(world.command({ type: 'ExpectNodes', nodes: body.split('\n').map(expectationOf), by }));
      case 'machine':
        this.#connectMachine(first, args);
        return [];
      case 'replace':
        return answer(world.command({ type: 'ReplaceNode', node: first, by, reason: 'it burnt' }));
      case 'clone': {
        const counter = world.counters.get(first) ?? 1;
        world.counters.set(first, counter - 1);
        world.connect(first);
        world.counters.set(first, counter);
        return [];
      }
      case 'new-reign': {
        const { lineage, epoch } = world.state;
        world.command({ type: 'BeginReign', lineage, epoch: epoch + 1, version: '0' });
        return [];
      }
      case 'wait':
        world.wait(milliseconds(first));
        return [];
      case 'label':
        return answer(
          world.command({
            type: 'LabelNode',
            node: first,
            set: paramsOf(args.slice(1)) as Record<string, string>,
            unset: [],
            by,
          }),
        );
      case 'in-service':
      case 'cordon':
      case 'maintenance':
      case 'retire': {
        const administration = (
          {
            'in-service': 'in-service',
            cordon: 'cordoned',
            maintenance: 'maintenance',
            retire: 'retired',
          } as const
        )[name];
        return answer(
          world.command({ type: 'AdministerNode', node: first, administration, by, reason: 'disk swap' }),
        );
      }
      case 'remove':
        return answer(world.command({ type: 'RemoveNode', node: first, by, reason: '' }));
      case 'set':
        return answer(
          world.command({
            type: 'SetParam',
            scope: scopeOf(first),
            name: second,
            value: JSON.parse(rest.join(' ')),
            secret: false,
            by,
          }),
        );
      // profile NAME PRIORITY {"labels":{"site":["a"]},"roles":null} {"port":1}
      case 'profile': {
        const [where = '', params = ''] = rest.map((text) => JSON.parse(text));
        const profile = { profile: first, priority: Number(second), where, params, secrets: {} };
        return answer(world.command({ type: 'ApplyProfile', ...profile, by }));
      }
      case 'unprofile':
        return answer(world.command({ type: 'RemoveProfile', profile: first, by }));
      case 'approve':
        return answer(
          world.command({ type: 'ApproveUnit', run: first, unit: second || null, by, reason: '' }),
        );
      case 'reject':
        return answer(
          world.command({ type: 'RejectUnit', run: first, unit: second || null, by, reason: 'not today' }),
        );
      case 'cancel':
        return answer(world.command({ type: 'CancelRun', run: first, by, reason: 'wrong window' }));
      case 'resume': {
        const how =
          second === 'elect'
            ? ({ kind: 'elect', node: rest[0] ?? '', role: rest[1] ?? null } as const)
            : ({
                kind:
                  second === 'retry-failed' || second === 'accept-failed' || second === 'as-reported'
                    ? second
                    : 'continue',
              } as const);
        return answer(world.command({ type: 'ResumeRun', run: first, how, by, reason: '' }));
      }
      case 'decide':
        if (second !== 'succeeded' && second !== 'failed' && second !== 'again')
          throw new Error(`decide as ${second}`);
        return answer(world.command({ type: 'DecideJob', job: first, as: second, by, reason: 'looked' }));
      case 'why': {
        const run = world.state.runs.get(first);
        const node = world.state.nodes.get(first);
        const expected = world.state.expected.get(first);
        const why =
          run !== undefined
            ? explainRun(world.state, run, () => undefined)
            : node !== undefined
              ? explainNode(world.state, node, () => undefined)
              : expected !== undefined
                ? explainExpected(world.state, expected)
                : undefined;
        if (why === undefined) return [`no run ${first}`];
        return why.map(
          ({ sentence, since }) =>
            `${sentence}${since === null ? '' : ` [${Math.round((world.at - since) / 1_000)} s]`}`,
        );
      }
      case 'state': {
        const run = world.state.runs.get(first);
        return [run === undefined ? `no run ${first}` : runStateOf(run)];
      }
      case 'deferral':
        return [...world.state.runs.values()].flatMap((run) => {
          const counts = countDeferrals(run);
          if (counts === undefined) return [];
          const told = Object.entries(counts).filter(([, count]) => count > 0);
          return [`${run.id}: ${told.map(([what, count]) => `${count} ${what}`).join(', ')}`];
        });
      case 'budget': {
        const maxUnavailable =
          first === 'none' ? null : parseAmount(first.endsWith('%') ? first : Number(first));
        return answer(world.command({ type: 'SetDisruptionBudget', cluster: 'default', maxUnavailable, by }));
      }
      case 'jobs': {
        const run = world.state.runs.get(first);
        return (run?.steps ?? []).map(
          ({ step, jobs }) =>
            `${step.id}: ${[...jobs].map(([node, job]) => `${node} ${job.state}`).join(', ')}`,
        );
      }
      default:
        throw new Error(`unknown command ${name}`);
    }
  }
}

/** `n1 serial=S1 mac=52:54:00:00:00:01 rack=a`: what is no mark is a label. */
function expectationOf(line: string): Expectation {
  const [node = '', ...words] = line.split(' ');
  const { serial, uuid, mac, ...labels } = paramsOf(words);
  const text = (value: unknown): string | null => (value === undefined ? null : String(value));
  return {
    node,
    serial: text(serial),
    uuid: text(uuid),
    macs: mac === undefined ? [] : [String(mac)],
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)])),
    address: null,
    bmc: null,
  };
}

const scopeOf = (text: string): { node: string } | { cluster: string } =>
  text.startsWith('node/') ? { node: text.slice(5) } : { cluster: text.replace(/^cluster\//, '') };

function paramsOf(args: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    args
      .filter((arg) => arg.includes('='))
      .map((arg) => {
        const at = arg.indexOf('=');
        const text = arg.slice(at + 1);
        return [arg.slice(0, at), /^(\d+|true|false)$/.test(text) ? JSON.parse(text) : text];
      }),
  );
}

type Parsed = { ok: true; pipeline: Pipeline } | { ok: false; lines: string[] };

function parse(body: string): Parsed {
  const text = body.startsWith('kind:') ? body : `kind: pipeline\nname: p\n${body}\n`;
  const parsed = parsePipeline({ file: 'p.yaml', text });
  return parsed.ok ? parsed : { ok: false, lines: parsed.diagnostics.map(formatDiagnostic) };
}

function formatPlan(world: World, pipeline: Pipeline, from: string | null): string[] {
  const plan = previewPlan(
    world.state,
    { pipeline, cluster: 'default', limit: null, params: {}, from },
    world.lookup,
  );
  const roles = plan.roles.map(
    ({ name, nodes, leader, expected }) =>
      `role ${name}: ${nodes.join(' ')}${leader === null ? '' : `, leader ${leader}`}${expected.length === 0 ? '' : `; expected ${expected.join(' ')}`}`,
  );
  const units = plan.units.flatMap(({ id, waves, downMax, domains, steps }) => [
    `${id}: down at once ${downMax}${domains.map(({ domain, downMax: down }) => `, ${domain} ${down}`).join('')}`,
    ...(waves.length > 1 ? waves.map((nodes, index) => `  wave ${index + 1}: ${nodes.join(' ')}`) : []),
    ...steps.map(
      ({ id: step, nodes, gates }) =>
        `  ${step} on ${nodes.join(' ')}${gates.length > 0 ? `; after ${gates.join('; ')}` : ''}`,
    ),
  ]);
  return [...roles, ...units, `worst: ${plan.downMax}`, ...plan.faults, ...plan.warnings];
}
