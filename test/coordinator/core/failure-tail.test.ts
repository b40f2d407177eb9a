/** A decision may read what it stores itself: the end of a long log reaches the job that cleans up after it. */
import t from 'tap';
import { parsePipeline } from '../../../shared/pipeline/pipeline.ts';
import { World } from './world.ts';

t.test('the log tail of what failed is as long as it is', async (t) => {
  const parsed = parsePipeline({
    file: 'p.yaml',
    text: `kind: pipeline
name: p
roles: { all: { select: 'true' } }
steps:
  - id: work
    on: all
    run: x
    rescue: [{ id: page, run: y, rerun: idempotent }]
`,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.diagnostics));
  const world = new World();
  world.connect('n1');
  world.pull('n1');
  world.run(parsed.pipeline);
  const tail = `${'x'.repeat(2_000)}, and then it failed`;
  world.printed.set('r1/work/n1#1', tail);
  world.finish('n1', 'failed');
  const [page] = world.held.get('n1') ?? [];
  t.match(page?.job.environment, {
    LOCKSTEP_FAILURE_STEP: 'work',
    LOCKSTEP_FAILURE_LOG_TAIL: tail,
  });
});
