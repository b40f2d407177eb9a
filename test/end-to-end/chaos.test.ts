/**
 * Everything that can be broken is broken at random, for minutes: links, programs, hosts. Nothing is lost, nothing
 * is done twice, nothing is out of order, by the journal and by what the jobs left on the nodes' own disks.
 *
 *   LOCKSTEP_CHAOS_MINUTES=10   how long (default: 2)
 *   LOCKSTEP_CHAOS_SEED=n       which faults, and when; a failure names its seed
 */
import t from 'tap';
import { runStateOf } from '../../coordinator/core/shown-states.ts';
import { Random } from '../coordinator/core/random-pipeline.ts';
import { inflict } from './chaos/faults.ts';
import {
  fold,
  judgeEffects,
  judgeJournal,
  judgeLogs,
  judgeOrder,
  judgeSlots,
  readEvents,
  readLog,
} from './chaos/judgement.ts';
import { Operator } from './chaos/operator.ts';
import { pipeline } from './chaos/pipeline.ts';
import { Site } from './chaos/site.ts';
import { hostsUnavailable, Lab } from './hosts.ts';
import { eventually } from './processes.ts';

const minutes = Number(process.env.LOCKSTEP_CHAOS_MINUTES ?? 2);
const seed = Number(process.env.LOCKSTEP_CHAOS_SEED ?? Math.floor(Math.random() * 1_000_000));
const reproduce = `LOCKSTEP_CHAOS_MINUTES=${minutes} LOCKSTEP_CHAOS_SEED=${seed} ./scripts/test test/end-to-end/chaos.test.ts`;
const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
/** From the last fault to the end of the last run: reconnects, reboots, decisions, and what is left of forty steps. */
const settleMsMax = 240_000;
const timeout = minutes * 60_000 + settleMsMax + 120_000;
t.setTimeout(timeout);

t.test(
  // The name, because whatever fails prints it.
  `nothing is lost and nothing is done twice: ${reproduce}`,
  { skip: hostsUnavailable() ?? false, timeout },
  async (t) => {
    const lab = await Lab.start();
    t.teardown(() => lab.dispose());
    const site = await Site.start(lab, names);
    const operator = new Operator(site, site.lab.writeShared('chaos.yaml', pipeline));
    for (const script of ['job.sh', 'done.sh']) site.shareScript(script);

    const faulty = new AbortController();
    const operating = operator.operate(faulty.signal);
    const dealt = await inflict(site, names, new Random(seed), minutes * 60_000).finally(() =>
      faulty.abort(),
    );
    await operating;
    const diagnostic = { reproduce, dealt, decisions: operator.decisions };
    await eventually('every run to be over', async () => ((await operator.answer()) ? true : undefined), {
      withinMs: settleMsMax,
      everyMs: 500,
    }).catch(async (error: unknown) =>
      t.fail(String(error), { ...diagnostic, why: await operator.askWhy() }),
    );
    await site.end();

    const events = readEvents(await site.lines(['events', '--since', '0']));
    const trace = (await lab.readShared('trace')).trim().split('\n');
    const { state, wrong } = fold(events);
    const effectsOf = site.effectsOf.bind(site);
    const allWell = (found: readonly string[], what: string) =>
      t.strictSame(found, [], what, { ...diagnostic });
    allWell(judgeJournal(events), 'the journal has no gap, and every grant in it was allowed');
    allWell(wrong, 'the state folds');
    allWell(
      judgeEffects(events, effectsOf),
      'every side effect is there, and none is there twice that may not be',
    );
    const ids = [...state.runs.keys()];
    for (const id of ids) {
      // A run is over when its results are there; what was printed may come a little later.
      const log = readLog(await site.lines(['logs', id, '--follow']));
      allWell(judgeOrder(events, trace, id), `${id} was in order on the nodes`);
      allWell(judgeSlots(trace, id), `${id} never had more nodes down than it may`);
      allWell(judgeLogs(events, log, id, effectsOf), `${id} has every log, byte for byte`);
    }
    t.strictSame(
      [...state.runs.values()].map((run) => `${run.id} ${runStateOf(run)}`),
      ids.map((id) => `${id} succeeded`),
      'every run has succeeded',
      { ...diagnostic },
    );

    const count = (type: string): number => events.filter((event) => event.type === type).length;
    const interrupted = events.filter(
      (event) => event.type === 'AttemptEnded' && event.outcome === 'interrupted',
    );
    t.comment(
      `${ids.length} runs, ${count('JobGranted')} grants, ${events.length} events; ${dealt.length} faults: ` +
        `${count('ReignBegan')} reigns, ${count('NodeDisconnected')} lost links, ${interrupted.length} interruptions, ` +
        `${count('JobUnknown')} unknown, ${count('JobHeld')} held, ${count('JobDeferred')} deferred, ` +
        `${count('JobRebooted')} reboots as planned by steps, ${count('AgentUpgradeBegan')} upgrades`,
    );
    t.ok(count('ReignBegan') > 1 && count('NodeDisconnected') > names.length, 'it was a story with faults');
  },
);
