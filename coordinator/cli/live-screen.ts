/**
 * Keeps one picture at the bottom of the terminal and draws it over itself. It knows nothing of what the
 * picture shows; the sequences that it writes are made by render/redraw.ts.
 */
import { cutLine, formatLine, type Line, lineWidth } from './render/line.ts';
import { hideCursor, redraw, showCursor, wipe } from './render/redraw.ts';
import type { Terminal } from './terminal.ts';

export class LiveScreen {
  readonly #terminal: Terminal;
  #painted: string[] = [];
  #widths: number[] = [];
  readonly #forget = (): void => {
    this.#painted = [];
    this.#widths = [];
    this.#terminal.write(hideCursor);
  };
  readonly #resized = (): void => {
    this.#terminal.write(wipe(this.#widths, this.#terminal.columns));
    this.#painted = [];
    this.#widths = [];
  };
  readonly #restore = (): void => this.#terminal.write(showCursor);

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write(hideCursor);
    process.stdout.on('resize', this.#resized);
    // After the shell had the screen for a while, what stood there is no longer ours to move over.
    process.on('SIGCONT', this.#forget);
    process.on('exit', this.#restore);
  }

  /** One row is kept for the cursor below the picture. */
  get rows(): number {
    return Math.max(4, this.#terminal.rows - 1);
  }

  /** The last column stays free: a terminal that is about to wrap treats what comes there differently. */
  get columns(): number {
    return this.#terminal.columns - 1;
  }

  draw(lines: readonly Line[]): void {
    const shown = lines.map((content) => cutLine(content, this.columns));
    const painted = shown.map((content) => formatLine(content, this.#terminal.paint));
    const movements = redraw(this.#painted, painted);
    if (movements !== '') this.#terminal.write(movements);
    this.#painted = painted;
    this.#widths = shown.map(lineWidth);
  }

  /** Leaves the last picture where it is; the cursor is below it. */
  close(): void {
    process.stdout.off('resize', this.#resized);
    process.off('SIGCONT', this.#forget);
    process.off('exit', this.#restore);
    this.#restore();
  }
}
