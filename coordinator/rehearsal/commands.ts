/** `lockstep rehearse`: what an operator asks, the nodes and the past that go into it, and what is shown. */
import { readFileSync } from 'node:fs';
import { LockstepError, messageOf } from '../../shared/errors.ts';
import { limits } from '../../shared/limits.ts';
import { parseAmount } from '../../shared/pipeline/amount.ts';
import { parseDuration } from '../../shared/pipeline/duration.ts';
import type { Pipeline } from '../../shared/pipeline/model.ts';
import type { CoordinatorClient } from '../cli/client.ts';
import { exitCodeOfRun, exitCodes } from '../cli/outcome.ts';
import { type ParamOptions, readParams } from '../cli/param-values.ts';
import { formatDuration } from '../cli/render/measures.ts';
import { selectorOf } from '../cli/render/node-names.ts';
import { type CommonOptions, segment, withCoordinator } from '../cli/session.ts';
import { readPipelineFile } from '../cli/submission.ts';
import { Terminal } from '../cli/terminal.ts';
import {
  clusterList,
  nodePage,
  paramList,
  profileList,
  runPage,
  run as runSchema,
} from '../http/resources.ts';
import { Chances } from './chances.ts';
import { multiply, type RehearsedHost, readHosts } from './hosts.ts';
import { Past, type PastJob } from './past.ts';
import { drawStory } from './picture.ts';
import type { Faults, Standing } from './stage.ts';
import { rehearse as perform } from './story.ts';

export type RehearseOptions = CommonOptions &
  ParamOptions & {
    readonly cluster: string;
    readonly limit?: string;
    readonly modules?: string;
    readonly nodes?: number;
    readonly nodesFile?: string;
    readonly fail: number;
    readonly unreachable: number;
    readonly lose: number;
    readonly away: number;
    readonly seed: number;
    /** When the run would begin, ms since 1970; now when absent. */
    readonly at?: number;
    readonly duration?: readonly string[];
    readonly output?: 'json';
    readonly stepOutput?: readonly string[];
  };

const by = 'rehearsal';

type Known = {
  readonly hosts: readonly RehearsedHost[];
  readonly jobs: readonly PastJob[];
  readonly standing: readonly Standing[];
};

export async function rehearse(path: string, options: RehearseOptions): Promise<number> {
  const { pipeline } = readPipelineFile(path, options.modules);
  const declared = durationsOf(pipeline, options.duration ?? []);
  const outputs = outputsOf(pipeline, options.stepOutput ?? []);
  const known = await lookUp(pipeline, options);
  const hosts = options.nodes === undefined ? known.hosts : multiply(known.hosts, options.nodes);
  if (hosts.length === 0)
    throw new LockstepError(
      'usage',
      'there is no node to rehearse with: describe some in a file and name it with --nodes-file (`--help` shows one)',
    );
  const chances = new Chances(options.seed);
  const faults: Faults = {
    fail: options.fail,
    unreachable: options.unreachable,
    lose: options.lose,
    awayMs: options.away,
  };
  const story = perform({
    pipeline,
    cluster: options.cluster,
    params: paramsOf(pipeline, options),
    standing: known.standing,
    limit: options.limit === undefined ? null : selectorOf(options.limit),
    hosts,
    faults,
    chances,
    past: new Past(known.jobs, declared, outputs, chances),
    beginsAt: options.at ?? Date.now(),
  });
  const terminal = new Terminal();
  if (options.output === 'json') terminal.printJson({ seed: options.seed, faults, ...story });
  else terminal.printWhole(drawStory(story, toldOf(options)));
  return exitCodeOfRun(story.state) ?? exitCodes.held;
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

function toldOf({ fail, unreachable, lose, away, seed }: RehearseOptions): string[] {
  return [
    `${percent(fail)} of the jobs fail`,
    `${percent(unreachable)} of the nodes are away`,
    ...(lose === 0 ? [] : [`${percent(lose)} of the jobs lose their link for ${formatDuration(away)}`]),
    `seed ${seed}`,
  ];
}

/** What the coordinator knows; nothing of it when a file describes the nodes and no coordinator is at hand. */
async function lookUp(pipeline: Pipeline, options: RehearseOptions): Promise<Known> {
  const { nodesFile: file } = options;
  if (file === undefined)
    return withCoordinator(options, async ({ client }) => ({
      ...(await readPast(client, pipeline)),
      ...(await readNodes(client, options.cluster)),
    }));
  const hosts = readHosts(file, readText(file));
  try {
    return await withCoordinator(options, async ({ client }) => ({
      hosts,
      standing: [],
      ...(await readPast(client, pipeline)),
    }));
  } catch (error) {
    const isNamed = options.url !== undefined || options.data !== undefined;
    if (isNamed || !(error instanceof LockstepError) || error.code !== 'unreachable') throw error;
    return { hosts, standing: [], jobs: [] };
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new LockstepError('usage', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

async function readNodes(
  client: CoordinatorClient,
  cluster: string,
): Promise<Pick<Known, 'hosts' | 'standing'>> {
  const hosts: RehearsedHost[] = [];
  const standing: Standing[] = [];
  for await (const node of client.list(nodePage, '/api/nodes')) {
    const { name, labels, address, facts, administration, administrationReason: reason } = node;
    if (node.cluster !== cluster || administration === 'retired') continue;
    hosts.push({ name, labels, address, facts: isRecord(facts) ? facts : {} });
    if (administration !== 'in-service')
      standing.push({ type: 'AdministerNode', node: name, administration, by, reason });
  }
  const clusters = await client.read(clusterList, '/api/clusters');
  for (const { name, maxUnavailable } of clusters.items)
    if (name === cluster && maxUnavailable !== null)
      standing.push({
        type: 'SetDisruptionBudget',
        cluster,
        maxUnavailable: parseAmount(maxUnavailable),
        by,
      });
  const { items } = await client.read(paramList, '/api/params', {});
  for (const param of items)
    if (!('cluster' in param.scope) || param.scope.cluster === cluster)
      standing.push({ type: 'SetParam', by, ...param });
  const profiles = await client.read(profileList, '/api/profiles');
  for (const { name: profile, priority, where, params, secrets } of profiles.items) {
    const shown = Object.entries(params).filter(([param]) => !secrets.includes(param));
    // Secrets are shown to nobody; that there is one is enough here.
    const hidden = secrets.map((param) => [param, 'rehearsed']);
    standing.push({
      type: 'ApplyProfile',
      profile,
      priority,
      where,
      params: Object.fromEntries(shown),
      secrets: Object.fromEntries(hidden),
      by,
    });
  }
  return { hosts, standing };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

async function readPast(client: CoordinatorClient, pipeline: Pipeline): Promise<Pick<Known, 'jobs'>> {
  const jobs: PastJob[] = [];
  const { items } = await client.read(runPage, '/api/runs', { limit: limits.pageSizeMax });
  const alike = items.filter(({ pipeline: name, startedAt }) => name === pipeline.name && startedAt !== null);
  for (const { id } of alike.slice(0, limits.rehearsalPastRunsMax)) {
    const past = await client.read(runSchema, `/api/runs/${segment(id)}`);
    for (const { step, state, durationMs, outputs } of past.jobs ?? [])
      if (state === 'succeeded' && durationMs !== null) jobs.push({ step, durationMs, outputs });
  }
  return { jobs };
}

/** What was given; secrets that nothing gives are made up, as no script sees them. */
function paramsOf(pipeline: Pipeline, options: RehearseOptions): Record<string, unknown> {
  const params = readParams(options, pipeline.params, process.env);
  for (const [name, { secret, generate, ...rest }] of Object.entries(pipeline.params))
    if (secret && generate === undefined && !('default' in rest) && !(name in params))
      params[name] = 'rehearsed';
  return params;
}

const stepsOf = (pipeline: Pipeline): readonly string[] =>
  pipeline.units.flatMap(({ steps }) => steps.map(({ id }) => id));

function split(option: string, word: string): [string, string] {
  const equals = word.indexOf('=');
  if (equals < 1) throw new LockstepError('usage', `${option} ${word}: write it as STEP=VALUE`);
  return [word.slice(0, equals), word.slice(equals + 1)];
}

function requireStep(option: string, pipeline: Pipeline, step: string): void {
  const steps = stepsOf(pipeline);
  if (!steps.includes(step))
    throw new LockstepError(
      'usage',
      `${option} names ${step}, which is no step of ${pipeline.name}; it has ${steps.join(', ')}`,
    );
}

function durationsOf(pipeline: Pipeline, words: readonly string[]): Map<string, number> {
  const durations = new Map<string, number>();
  for (const word of words) {
    const [step, text] = split('--duration', word);
    requireStep('--duration', pipeline, step);
    const ms = parseDuration(text);
    if (ms === undefined)
      throw new LockstepError('usage', `--duration ${word}: ${text} is not a duration like 30s, 5m or 2h`);
    durations.set(step, ms);
  }
  return durations;
}

/** `STEP.NAME=VALUE`: JSON where it is, else text. */
function outputsOf(pipeline: Pipeline, words: readonly string[]): Map<string, Record<string, unknown>> {
  const outputs = new Map<string, Record<string, unknown>>();
  for (const word of words) {
    const [place, text] = split('--step-output', word);
    const [, step = '', name = ''] = /^(.+)\.([^.]+)$/.exec(place) ?? [];
    if (name === '') throw new LockstepError('usage', `--step-output ${word}: write it as STEP.NAME=VALUE`);
    requireStep('--step-output', pipeline, step);
    outputs.set(step, { ...outputs.get(step), [name]: readValue(text) });
  }
  return outputs;
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
