/**
 * What the process writes to and reads from, and what that can do: colours, columns, redrawing, asking for
 * a secret without echo. What is written does not belong here.
 */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { LockstepError } from '../../shared/errors.ts';
import { exitCodes } from './outcome.ts';
import { cutLine, formatLine, type Line, type Paint } from './render/line.ts';

const columnsDefault = 80;
const rowsDefault = 24;

export class Terminal {
  /** Somebody looks: stdout is a terminal that understands cursor movements. */
  readonly interactive = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  readonly paint: Paint = {
    colour: this.interactive && (process.env.NO_COLOR ?? '') === '',
    asciiOnly: this.interactive && isAsciiOnly(process.env),
    obeys: this.interactive,
  };

  get columns(): number {
    return process.stdout.columns || columnsDefault;
  }

  get rows(): number {
    return process.stdout.rows || rowsDefault;
  }

  write(text: string): void {
    process.stdout.write(text);
  }

  /** For people, aside from the result: progress, hints and errors. */
  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  writeBytes(bytes: Uint8Array): void {
    process.stdout.write(bytes);
  }

  /** Lines of a table or picture: cut to the width of a terminal; in a file or pipe they stay whole. */
  print(lines: readonly Line[]): void {
    this.printWhole(this.interactive ? lines.map((content) => cutLine(content, this.columns)) : lines);
  }

  /** Lines of text that must not lose anything: a terminal wraps them. */
  printWhole(lines: readonly Line[]): void {
    if (lines.length > 0) this.write(lines.map((content) => `${formatLine(content, this.paint)}\n`).join(''));
  }

  printJson(document: unknown): void {
    this.write(`${JSON.stringify(document, null, 2)}\n`);
  }

  printJsonLine(document: unknown): void {
    this.write(`${JSON.stringify(document)}\n`);
  }

  /** True when a person can be asked. */
  get canAsk(): boolean {
    return process.stdin.isTTY === true && process.stderr.isTTY === true;
  }

  /** Asks without echo. Ctrl-C ends the process as it would anywhere else. */
  async askSecret(question: string): Promise<string> {
    process.stderr.write(`${question}: `);
    const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
    return new Promise<string>((resolve, reject) => {
      reader.once('SIGINT', () => {
        process.stderr.write('\n');
        process.exit(exitCodes.interrupted);
      });
      reader.once('close', () => reject(new LockstepError('usage', `no answer to "${question}"`)));
      reader.question('', (answer) => {
        process.stderr.write('\n');
        resolve(answer);
        reader.close();
      });
    });
  }
}

/** The locale says that only ASCII can be shown, or the console has no glyphs for more. */
export function isAsciiOnly(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || '';
  if (/utf-?8/i.test(locale)) return false;
  return locale !== '' || environment.TERM === 'linux' || environment.TERM === 'dumb';
}
