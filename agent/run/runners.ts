/**
 * What a node needs for the runners that a step may name (shared/pipeline/runners), so that a job which cannot work is
 * told so before anything runs. A runner that is not here is one of a newer coordinator: its script says what it lacks.
 */
type Need = {
  /** One of these programs. */
  readonly programs: readonly string[];
  readonly install: string;
};

const needs: ReadonlyMap<string, Need> = new Map([
  [
    'ansible',
    {
      programs: ['ansible-playbook'],
      install: 'install Ansible there (on Debian: apt-get install ansible), or in its image',
    },
  ],
  ['container', { programs: ['docker', 'podman'], install: 'install one of them there, or in its image' }],
  [
    'terraform',
    { programs: ['terraform'], install: 'install Terraform there, or say "tofu" where it has that' },
  ],
  ['tofu', { programs: ['tofu'], install: 'install OpenTofu there, or say "terraform" where it has that' }],
]);

export function lackOf(
  runner: string | undefined,
  isInstalled: (program: string) => boolean,
): string | undefined {
  const need = runner === undefined ? undefined : needs.get(runner);
  if (need === undefined || need.programs.some(isInstalled)) return undefined;
  return `this step needs ${need.programs.join(' or ')}, which this node does not have: ${need.install}`;
}
