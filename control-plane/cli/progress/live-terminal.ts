/** A block of lines that is redrawn in place. It bears a window that changes its size while it stands. */
import { stripVTControlCharacters } from 'node:util';

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
/** Terminals that know it show the block at once; the others take no notice. */
const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

export class LiveTerminal {
  readonly #stdout: NodeJS.WriteStream;
  #shown: readonly string[] = [];
  #isOpen = false;

  constructor(stdout: NodeJS.WriteStream) {
    this.#stdout = stdout;
  }

  get columns(): number {
    return Math.max(20, this.#stdout.columns || 80);
  }

  get rows(): number {
    return Math.max(5, this.#stdout.rows || 24);
  }

  draw(lines: readonly string[]): void {
    const begin = this.#isOpen ? '' : HIDE_CURSOR;
    this.#isOpen = true;
    this.#stdout.write(`${BEGIN}${begin}${this.#erase()}${lines.join('\n')}\n${END}`);
    this.#shown = lines;
  }

  /** Takes the block away and gives the cursor back. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stdout.write(`${this.#erase()}${SHOW_CURSOR}`);
    this.#shown = [];
  }

  /** A window that became narrower has wrapped the lines that stand in it. */
  #erase(): string {
    const height = this.#shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(stripVTControlCharacters(line).length / this.columns)), 0);
    return height === 0 ? '' : `\x1b[${height}F\x1b[0J`;
  }
}
