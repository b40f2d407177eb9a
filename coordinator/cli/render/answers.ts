/** What many nodes answered to one command, equal answers once: `n1,n3,n5 (3 nodes) exit 0:` and the text. */
import type { Job } from '../resources.ts';
import { jobStyle } from './glyphs.ts';
import { harmless, type Line, line, span } from './line.ts';
import { byName, countedNames } from './node-names.ts';
import { howItEnded } from './run-rows.ts';

export type Answer = {
  readonly job: Job;
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes at the beginning that are not here, because it wrote so much. */
  readonly missingBytes: number;
};

const howItWent = (job: Job): string => {
  const { state, exitCode, signal } = job;
  if (state === 'succeeded' || (state === 'failed' && exitCode !== null && signal === null))
    return `exit ${exitCode ?? 0}`;
  const how = howItEnded(job);
  return how === '' ? state : `${state}: ${how}`;
};

const textOf = (text: string, style: 'plain' | 'warn', isTerminal: boolean): Line[] =>
  text === ''
    ? []
    : text
        .replace(/\n$/, '')
        .split('\n')
        .map((content) => line(isTerminal ? harmless(content) : content, style));

/** The most common answer first, failures last, where they are seen. */
export function drawAnswers(answers: readonly Answer[], run: string, isTerminal: boolean): Line[] {
  const groups = new Map<string, Answer[]>();
  for (const answer of answers) {
    const key = [howItWent(answer.job), answer.stdout, answer.stderr].join('\0');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [answer]);
    else group.push(answer);
  }
  const trouble = ({ job }: Answer): number => (job.state === 'succeeded' ? 0 : 1);
  const sorted = [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ first, group }];
  });
  sorted.sort(
    (a, b) =>
      trouble(a.first) - trouble(b.first) ||
      b.group.length - a.group.length ||
      byName(a.first.job.node, b.first.job.node),
  );
  return sorted.flatMap(({ first, group }, index) => {
    const { job, stdout, stderr, missingBytes } = first;
    const body = [...textOf(stdout, 'plain', isTerminal), ...textOf(stderr, 'warn', isTerminal)];
    return [
      ...(index > 0 ? [[]] : []),
      [
        span(countedNames(group.map((answer) => answer.job.node)), 'strong'),
        span(' '),
        span(howItWent(job), jobStyle(job.state)),
        span(body.length > 0 ? ':' : ''),
      ],
      ...(missingBytes > 0
        ? [line(`[${missingBytes} bytes before this: lockstep logs ${run} ${job.step} ${job.node}]`, 'dim')]
        : []),
      ...body,
    ];
  });
}
