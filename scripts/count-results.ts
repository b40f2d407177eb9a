/**
 * Turns the TAP that tap prints for many test files into honest numbers per file: what passed, what failed,
 * what was skipped and why. Counts the innermost assertions, never the tests around them. A file that
 * crashed, was cut short or asserted nothing has failed. Running and printing belong to run-tests.ts.
 */
import { Parser, type Result } from 'tap-parser';

const printedBytesMax = 64 * 1024;

export type Failure = { readonly name: string; readonly diagnostic: unknown };
export type Skip = { readonly name: string; readonly reason: string };
export type FileResult = {
  readonly name: string;
  readonly passed: number;
  readonly failures: readonly Failure[];
  readonly skips: readonly Skip[];
  readonly durationMs: number;
  /** What the file printed besides its results, the last part of it. */
  readonly printed: string;
};

/** tap's own words for a file or test without any assertion, which it takes for a skip. */
const nothingFound = 'no tests found';

/**
 * Reads TAP with one subtest per file to its end. `report` gets each file as soon as it has ended. A last
 * entry named `tap` stands for what belongs to no file: a bail-out, a broken plan, output cut short.
 */
export async function countResults(
  tap: AsyncIterable<string | Buffer>,
  report: (file: FileResult) => void,
): Promise<void> {
  let passed = 0;
  let failures: Failure[] = [];
  let skips: Skip[] = [];
  let printed = '';
  /** The point that closes a file; the parser may announce it once more, as if it were an assertion. */
  let closing: Result | undefined;
  let files = 0;

  const close = (name: string, durationMs: number) => {
    files += 1;
    report({ name, passed, failures, skips, durationMs, printed });
    [passed, failures, skips, printed] = [0, [], [], ''];
  };
  const skip = (result: Result, reason: string | boolean) => {
    const words = typeof reason === 'string' && reason !== '' ? reason : 'no reason given';
    if (words === nothingFound) failures.push({ name: result.fullname, diagnostic: 'asserted nothing' });
    else skips.push({ name: result.fullname, reason: words });
  };

  const parser = new Parser();
  parser.on('pass', (result: Result) => {
    if (result !== closing) passed += 1;
  });
  parser.on('fail', (result: Result) => {
    if (result !== closing) failures.push({ name: result.fullname, diagnostic: result.diag });
  });
  parser.on('skip', (result: Result) => {
    if (result !== closing) skip(result, result.skip);
  });
  // What is still to be done has not passed, whatever it returned.
  parser.on('todo', (result: Result) => {
    if (result !== closing) skip(result, `to do: ${result.todo === true ? 'no reason given' : result.todo}`);
  });
  parser.on('extra', (text: string) => {
    printed = (printed + text).slice(-printedBytesMax);
  });
  parser.on('assert', (result: Result) => {
    closing = result;
    if (result.skip !== false) skip(result, result.skip);
    else if (!result.ok && failures.length === 0)
      failures.push({ name: result.name, diagnostic: result.diag });
    else if (result.ok && passed + failures.length + skips.length === 0) {
      failures.push({ name: result.name, diagnostic: 'asserted nothing' });
    }
    close(result.name, result.time ?? 0);
  });

  for await (const chunk of tap) parser.write(chunk);
  parser.end();
  const { results } = parser;
  if (parser.bailedOut !== false) {
    failures.push({ name: 'bail out', diagnostic: parser.bailedOut });
  } else if (files === 0) {
    failures.push({ name: 'tap', diagnostic: 'no test file was run' });
  } else if (passed + failures.length > 0 || results === null || results.plan.end !== files) {
    // Something after the last closed file, or fewer files than were planned: tap itself ended too early.
    failures.push({ name: 'tap', diagnostic: `ended after ${files} files, before it said that it was done` });
  }
  if (failures.length > 0) close('tap', 0);
}
