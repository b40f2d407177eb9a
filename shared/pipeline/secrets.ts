/** Which values are secret, and what reads them: an expression that touches a secret makes a secret. */
import type { Access } from '../expressions/accesses.ts';
import type { DraftStep } from './draft.ts';
import type { ParamDeclaration } from './model.ts';

/** A path of keys; `*` is any key. */
type SecretPath = readonly string[];

export function secretPaths(
  params: Readonly<Record<string, ParamDeclaration>>,
  steps: readonly DraftStep[],
): readonly SecretPath[] {
  const paths: SecretPath[] = [];
  for (const [name, { secret }] of Object.entries(params)) if (secret) paths.push(['params', name]);
  for (const { id, outputs } of steps) {
    for (const [name, { secret }] of Object.entries(outputs)) {
      if (secret) paths.push(['steps', id, 'outputs', name], ['steps', id, 'nodes', '*', 'outputs', name]);
    }
  }
  return paths;
}

/** In `until`: the step's own secret outputs, and what `with` made of secrets. */
export function ownSecretPaths(step: DraftStep, given: ReadonlySet<string>): readonly SecretPath[] {
  const outputs = Object.entries(step.outputs).filter(([, { secret }]) => secret);
  return [...outputs.map(([name]) => ['outputs', name]), ...[...given].map((name) => ['params', name])];
}

/** The secret that an access reads, or reads something around or inside of; undefined when there is none. */
export function secretIn(access: Access, secrets: readonly SecretPath[]): string | undefined {
  const path = [access.root, ...access.steps.map(({ key }) => key ?? '*')];
  const touched = secrets.find((secret) =>
    secret.every((key, index) => {
      const read = path[index];
      return read === undefined || read === key || read === '*' || key === '*';
    }),
  );
  return touched?.join('.');
}
