/** A block of lines that is redrawn in place. It bears a window that changes its size while it stands. */
import { stripVTControlCharacters } from 'node:util';
import { widthOf } from '../output.ts';

const HIDE_CURSOR = '\x1b[?25l';
const ERASE_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[0J';
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
    // Line by line over what stands there: to erase a whole window first makes some terminals keep each picture in their history.
    const written = lines.map((line) => `${line}${ERASE_LINE}\n`).join('');
    this.#stdout.write(`${BEGIN}${begin}${this.#toTop()}${written}${ERASE_BELOW}${END}`);
    this.#shown = lines;
  }

  /** Takes the block away and gives the cursor back. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const height = this.#height();
    const erased = height === 0 ? '' : `${this.#toTop()}${`${ERASE_LINE}\n`.repeat(height)}${this.#toTop()}`;
    this.#stdout.write(`${erased}${SHOW_CURSOR}`);
    this.#shown = [];
  }

  #toTop(): string {
    const height = this.#height();
    return height === 0 ? '' : `\x1b[${height}F`;
  }

  /** A window that became narrower has wrapped the lines that stand in it. */
  #height(): number {
    return this.#shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(stripVTControlCharacters(line)) / this.columns)), 0);
  }
}
