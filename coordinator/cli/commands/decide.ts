/** What an operator decides about a run or a job: approve, reject, cancel, resume. The answer is the run. */
import { LockstepError } from '../../../shared/errors.ts';
import { run as runSchema } from '../../http/resources.ts';
import { exitCodes } from '../outcome.ts';
import { runStateSpan } from '../render/glyphs.ts';
import { span } from '../render/line.ts';
import { inLocalTime } from '../render/measures.ts';
import type { Run } from '../resources.ts';
import { type CommonOptions, segment, withCoordinator } from '../session.ts';

export type ReasonOptions = CommonOptions & { readonly reason?: string };

export type ResumeOptions = ReasonOptions & {
  readonly retryFailed?: boolean;
  readonly acceptFailed?: boolean;
  readonly asReported?: boolean;
  readonly elect?: string;
  readonly role?: string;
  readonly as?: 'succeeded' | 'failed' | 'again';
};

/** `decided`: what the decision was about, before what the run is now. */
async function decide(
  path: string,
  body: unknown,
  options: CommonOptions,
  decided: (run: Run) => string = () => '',
): Promise<number> {
  return withCoordinator(options, async ({ client, terminal }) => {
    const run = await client.send('POST', path, body, runSchema);
    if (options.output !== undefined) terminal.printJson(run);
    else {
      const reason = run.reason === null ? '' : `: ${inLocalTime(run.reason)}`;
      const name = `${decided(run)}${run.id} ${run.pipeline} is `;
      terminal.print([[span(name), runStateSpan(run.state), span(reason)]]);
      if (run.finishedAt === null && terminal.interactive)
        terminal.note(`see it go on: lockstep watch ${run.id}`);
    }
    return exitCodes.done;
  });
}

export const approve = (run: string, unit: string | undefined, options: ReasonOptions): Promise<number> =>
  decide(
    `/api/runs/${segment(run)}/approve`,
    { unit: unit ?? null, reason: options.reason ?? '' },
    options,
    ({ units }) => approved(units, unit),
  );

/** The one that was named, or the one that was approved last. */
function approved(units: Run['units'], name: string | undefined): string {
  const [last] = units
    .filter(({ id, approval }) => approval.state === 'given' && (name ?? id) === id)
    .sort((a, b) => Date.parse(b.approval.at ?? '') - Date.parse(a.approval.at ?? ''));
  return last === undefined ? '' : `approved ${last.id} ("${last.approval.text ?? last.id}"); `;
}

export const reject = (run: string, unit: string | undefined, options: ReasonOptions): Promise<number> =>
  decide(`/api/runs/${segment(run)}/reject`, { unit: unit ?? null, reason: options.reason ?? '' }, options);

export const cancel = (run: string, options: ReasonOptions): Promise<number> =>
  decide(`/api/runs/${segment(run)}/cancel`, { reason: options.reason ?? '' }, options);

type ResumeHow =
  | { readonly kind: 'continue' | 'retry-failed' | 'accept-failed' | 'as-reported' }
  | { readonly kind: 'elect'; readonly node: string; readonly role: string | null };

export function resumeHow(options: ResumeOptions): ResumeHow {
  const chosen: ResumeHow[] = [];
  if (options.retryFailed) chosen.push({ kind: 'retry-failed' });
  if (options.acceptFailed) chosen.push({ kind: 'accept-failed' });
  if (options.asReported) chosen.push({ kind: 'as-reported' });
  if (options.elect !== undefined)
    chosen.push({ kind: 'elect', node: options.elect, role: options.role ?? null });
  if (chosen.length > 1)
    throw new LockstepError(
      'usage',
      'choose one of --retry-failed, --accept-failed, --as-reported and --elect',
    );
  if (options.role !== undefined && options.elect === undefined)
    throw new LockstepError('usage', '--role says which role --elect gives a new leader: add --elect NODE');
  return chosen[0] ?? { kind: 'continue' };
}

/** A run goes on, or a held job gets the decision that it waits for. */
export async function resume(subject: string, options: ResumeOptions): Promise<number> {
  const reason = options.reason ?? '';
  const isJob = subject.includes('/');
  if (!isJob) {
    if (options.as !== undefined)
      throw new LockstepError(
        'usage',
        `--as decides a held job: name it as ${subject}/STEP/NODE (see \`lockstep why ${subject}\`)`,
      );
    return decide(`/api/runs/${segment(subject)}/resume`, { how: resumeHow(options), reason }, options);
  }
  if (options.as === undefined)
    throw new LockstepError(
      'usage',
      `what became of ${subject}? Say --as succeeded (it was done), --as failed, or --as again (run it once more)`,
    );
  if (reason === '')
    throw new LockstepError('usage', 'say in --reason how you know: it is kept with the decision');
  return decide('/api/jobs/decide', { job: subject, as: options.as, reason }, options);
}
