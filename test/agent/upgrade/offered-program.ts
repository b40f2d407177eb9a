/** Programs that an operator offers as another version of the agent: one that is good, and others. */
import { createHash } from 'node:crypto';
import path from 'node:path';

const otherVersion = path.join(import.meta.dirname, 'other-version.ts');

/** Answers `--version`; whatever else it is asked to do is done by `body`. */
const programOf = (version: string, body: string): string =>
  `#!/bin/sh\n[ "$1" != --version ] || { echo ${version}; exit; }\n${body}\n`;

export const goodProgram = (version: string): string =>
  programOf(version, `OTHER_VERSION=${version} exec ${process.execPath} ${otherVersion} "$@"`);

export const deadProgram = (version: string): string => programOf(version, 'exit 3');

/** Healthy on its trial, and dead whenever it is started after that. */
export const shamProgram = (version: string): string =>
  programOf(
    version,
    `[ -n "$LOCKSTEP_ON_TRIAL" ] || exit 3\nOTHER_VERSION=${version} exec ${process.execPath} ${otherVersion} "$@"`,
  );

export const hangingProgram = (version: string): string => programOf(version, 'sleep 300');

export const digestOf = (content: string): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;
