/** Agents that answer and do not get on: who is reported, once, and what `why` and the metrics say. */
import t from 'tap';
import { viewExplanation } from '../../../coordinator/http/views/explanation.ts';
import { GrantWatch } from '../../../coordinator/ws/stalls.ts';
import { limits } from '../../../shared/limits.ts';
import { helloOf } from '../small-agent.ts';

const attempt = 'r1/s/n3#1';
const minute = 60_000;

t.test('a grant that is not accepted', (t) => {
  const watch = new GrantWatch();
  watch.granted('n3', attempt, 0);
  t.same(watch.newlyStalled(limits.grantAcceptWaitMs - 1), []);
  t.equal(watch.stallOf('n3', limits.grantAcceptWaitMs - 1), undefined);
  const [stall, ...others] = watch.newlyStalled(limits.grantAcceptWaitMs);
  t.match(stall, {
    node: 'n3',
    attempt,
    sentence: 'n3 answers but has not accepted attempt r1/s/n3#1 for 2 min: look at its disk',
  });
  t.same(others, []);
  t.equal(watch.count, 1);
  t.same(watch.newlyStalled(10 * minute), [], 'told once');
  t.match(watch.stallOf('n3', 5 * minute)?.sentence, /for 5 min/);
  watch.accepted('n3', attempt, 6 * minute);
  t.equal(watch.count, 0);
  t.equal(watch.stallOf('n3', 6 * minute), undefined);
  t.end();
});

t.test('one that is accepted and not started, also by an agent that came back with it', (t) => {
  const watch = new GrantWatch();
  watch.granted('n3', attempt, 0);
  watch.accepted('n3', attempt, 10);
  watch.returned('n4', helloOf('n4', { held: [{ attempt: 'r1/s/n4#1', state: 'accepted' }] }), 10);
  watch.accepted('n3', attempt, 5 * minute);
  const stalls = watch.newlyStalled(limits.grantStartWaitMs + 10);
  t.same(
    stalls.map(({ node }) => node),
    ['n3', 'n4'],
    'saying it again gives no more time',
  );
  t.match(stalls[0]?.sentence, /has not started attempt r1\/s\/n3#1, which it accepted 10 min ago/);
  watch.forget('n3');
  t.equal(watch.count, 1);
  watch.granted('n4', 'r2/s/n4#1', 0);
  t.equal(watch.count, 0, 'the next grant is another matter');
  t.end();
});

t.test('what waits for something else on its node has time', (t) => {
  const watch = new GrantWatch();
  const next = { attempt: 'r1/t/n3#1', state: 'accepted' } as const;
  watch.granted('n3', attempt, 0);
  watch.accepted('n3', attempt, 0);
  watch.accepted('n3', next.attempt, 0);
  watch.forget('n3');
  watch.accepted('n3', next.attempt, 0);
  watch.returned('n4', helloOf('n4', { held: [{ attempt, state: 'running' }, next] }), 0);
  watch.returned('n5', helloOf('n5', { held: [next], rebooting: attempt }), 0);
  watch.returned('n6', helloOf('n6', { held: [{ attempt, state: 'ended' }] }), 0);
  t.same(watch.newlyStalled(60 * minute), []);
  t.end();
});

t.test('why says it beside what the core knows, and only of jobs that wait for their start', (t) => {
  const explanation = { job: 'r1/s/n3', run: 'r1', node: 'n3', state: 'granted', since: 0 };
  const stallOf = (node: string) => ({ attempt, sentence: `${node} answers but sleeps` });
  const granted = viewExplanation({ ...explanation, gate: 'start', sentence: 'was granted' }, stallOf);
  t.equal(granted.sentence, 'was granted; n3 answers but sleeps');
  const running = viewExplanation({ ...explanation, gate: 'result', sentence: 'is running' }, stallOf);
  t.equal(running.sentence, 'is running');
  t.end();
});
