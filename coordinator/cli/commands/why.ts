/** `lockstep why`: one sentence for each unfinished job of a run, or for what a node is about. */
import { LockstepError } from '../../../shared/errors.ts';
import { explanations as explanationsSchema, triggerList } from '../../http/resources.ts';
import type { CoordinatorClient } from '../client.ts';
import { exitCodes } from '../outcome.ts';
import { type Line, span } from '../render/line.ts';
import { formatDuration, inLocalTime } from '../render/measures.ts';
import type { Explanation } from '../resources.ts';
import { readExplanations } from '../run-reading.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

const runPattern = /^r[1-9][0-9]*$/;
const jobPattern = /^(r[1-9][0-9]*)\//;

async function explain(client: CoordinatorClient, subject: string): Promise<readonly Explanation[]> {
  const [, runOfJob] = jobPattern.exec(subject) ?? [];
  if (runOfJob !== undefined)
    return (await readExplanations(client, runOfJob)).filter(
      ({ job }) => job === subject.replace(/#.*$/, ''),
    );
  const ofNode = async (): Promise<readonly Explanation[]> =>
    (await client.read(explanationsSchema, `/api/nodes/${segment(subject)}/why`)).items;
  if (!runPattern.test(subject)) return ofNode().catch(orOfTrigger(client, subject));
  try {
    return await readExplanations(client, subject);
  } catch (error) {
    // A node may have a name that looks like a run's.
    if (!(error instanceof LockstepError) || error.code !== 'not-found') throw error;
    return ofNode().catch(() => {
      throw error;
    });
  }
}

/** What is no node may be a trigger; what is neither is told as no node. */
const orOfTrigger =
  (client: CoordinatorClient, subject: string) =>
  async (noNode: unknown): Promise<readonly Explanation[]> => {
    if (!(noNode instanceof LockstepError) || noNode.code !== 'not-found') throw noNode;
    const { items } = await client.read(triggerList, '/api/triggers');
    const found = items.find(({ name }) => name === subject);
    if (found === undefined) throw noNode;
    const failed =
      found.lastFailure === null ? '' : `; the last time it started none: ${found.lastFailure.reason}`;
    return [
      {
        job: null,
        run: null,
        node: null,
        state: 'waiting',
        gate: 'trigger',
        sentence: found.sentence + failed,
        since: null,
      },
    ];
  };

const drawn = ({ sentence, since }: Explanation, now: number): Line => [
  // What is said of a node alone begins as a gate of a job does.
  span(inLocalTime(sentence).replace(/^waits: /, '')),
  ...(since === null ? [] : [span(`  (for ${formatDuration(now - Date.parse(since))})`, 'dim')]),
];

function nothingLeft(subject: string): string {
  const [, runOfJob] = jobPattern.exec(subject) ?? [];
  const because =
    runOfJob === undefined ? 'it has ended' : `no job of ${runOfJob} that has not ended is called so`;
  return `${subject} waits for nothing: ${because}; see lockstep runs show ${runOfJob ?? subject}`;
}

export async function why(subject: string, options: CommonOptions): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const items = await explain(client, subject);
    if (options.output === 'json') terminal.printJson(items);
    else if (options.output === 'jsonl') for (const item of items) terminal.printJsonLine(item);
    else if (items.length === 0) terminal.note(nothingLeft(subject));
    else terminal.printWhole(items.map((item) => drawn(item, Date.now() + client.clockAheadMs)));
    return exitCodes.done;
  });
}
