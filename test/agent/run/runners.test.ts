/** What a node says that lacks what a runner needs. */
import t from 'tap';
import { lackOf } from '../../../agent/run/runners.ts';
import { runnerNames } from '../../../shared/pipeline/runner-language.ts';

const having =
  (...programs: readonly string[]) =>
  (program: string): boolean =>
    programs.includes(program);

t.test('what is missing is named, with what to do', async (t) => {
  t.equal(
    lackOf('ansible', having('docker')),
    'this step needs ansible-playbook, which this node does not have: install Ansible there (on Debian: apt-get install ansible), or in its image',
  );
  t.match(
    lackOf('container', having()),
    /^this step needs docker or podman, which this node does not have: /,
  );
  t.match(lackOf('tofu', having('terraform')), /say "terraform" where it has that$/);
  for (const engine of ['docker', 'podman']) t.equal(lackOf('container', having(engine)), undefined);
});

t.test('what needs nothing, and what is not known here, is tried', async (t) => {
  t.equal(lackOf(undefined, having()), undefined);
  t.equal(lackOf('run-parts', having()), undefined);
  t.equal(lackOf('of a later version', having()), undefined);
  for (const name of runnerNames.filter((each) => each !== 'runParts')) t.ok(lackOf(name, having()), name);
});
