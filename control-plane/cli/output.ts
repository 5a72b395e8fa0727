/**
 * What the command line says. With --json standard output holds JSON and nothing else; without it, words for people.
 * Errors go to standard error in either case: what, why, what to do, and each mistake as `file:line`.
 */
import Table from 'cli-table3';
import colors from 'picocolors';
import { formatProblems } from '../../shared/document.ts';
import { errorCodes, FarshoreError, type Problem } from '../../shared/errors.ts';
import { STEERING_SIGNS } from '../../shared/names.ts';
import type { Surroundings } from './surroundings.ts';

export type Colors = ReturnType<typeof colors.createColors>;

export class Output {
  readonly isJson: boolean;
  readonly colors: Colors;
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings, isJson: boolean) {
    this.#surroundings = surroundings;
    this.isJson = isJson;
    const { NO_COLOR: none, FORCE_COLOR: forced } = surroundings.environment;
    this.colors = colors.createColors(!none && (surroundings.stdout.isTTY === true || Boolean(forced)) && !isJson);
  }

  /** The answer of a command: the document itself, or what `words` makes of it. */
  show<T>(document: T, words: (document: T) => string): void {
    this.line(this.isJson ? jsonText(document, 2) : words(document));
  }

  line(text: string): void {
    this.#surroundings.stdout.write(`${text}\n`);
  }

  /** A document that has line ends of its own. */
  text(document: string): void {
    this.#surroundings.stdout.write(document);
  }

  /** Beside the answer, for a person; a script does not want it. */
  note(text: string): void {
    if (!this.isJson) this.#surroundings.stderr.write(`${text}\n`);
  }

  error(error: FarshoreError): void {
    const { stderr } = this.#surroundings;
    const { cause, remedy } = errorCodes[error.code];
    if (this.isJson) {
      const { code, message, problems } = error;
      stderr.write(`${jsonText({ error: { code, message, cause, remedy, problems } })}\n`);
      return;
    }
    const red = stderr.isTTY === true ? this.colors.red : (text: string) => text;
    // Message and problems quote names and values that others gave.
    const lines = [`${red('error:')} ${plain(error.message)} (${error.code})`];
    for (const problem of error.problems) {
      lines.push(`  ${formatProblems(new FarshoreError(error.code, '', { problems: [inPlain(problem)] }))}`);
    }
    // A mistake in the command line is all in its message; the cause and remedy of its code speak of the fields of a request.
    const isAllSaid = error.code === 'ERR_REQUEST_INVALID' && error.problems.length === 0;
    if (!isAllSaid) lines.push(`cause:  ${cause}`, `remedy: ${remedy}`);
    stderr.write(`${lines.join('\n')}\n`);
  }
}

/** Columns without lines; `none` where there are no rows. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[], none: string, { dim }: Colors): string {
  if (rows.length === 0) return none;
  const blank = [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ];
  const chars = { ...Object.fromEntries(blank.map((name) => [name, ''])), middle: '  ' };
  const made = new Table({
    head: heads.map((head) => dim(head)),
    chars,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** `40 ms`, `3 s`, `2 min 05 s`, `4 h 10 min`, `3 d 4 h` */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (seconds > 0 && seconds < 0.1) return `${Math.ceil(seconds * 1000)} ms`;
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** `2026-11-23 02:47:24Z`: the same for everyone who reads the terminal, wherever they sit. */
export function moment(iso: string | null): string {
  return iso === null ? '-' : `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}

/** Names and texts from elsewhere must not steer the terminal. */
export function plain(text: string): string {
  return text.replace(STEERING_SIGNS, '?');
}

function inPlain({ line, column, ...texts }: Problem): Problem {
  const entries = Object.entries(texts).map(([name, text]) => [name, plain(text)]);
  return { ...(Object.fromEntries(entries) as typeof texts), ...(line !== undefined && { line }), ...(column !== undefined && { column }) };
}

/** JSON as a terminal may show it: U+009B begins a command to it as ESC [ does, and JSON lets it stand. The value stays the same. */
export function jsonText(value: unknown, indent?: number): string {
  const steering = /[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu;
  return JSON.stringify(value, null, indent).replace(steering, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;

/** Columns that the text takes on a terminal. */
export function widthOf(text: string): number {
  return Array.from(text).reduce((sum, letter) => sum + (wide.test(letter) ? 2 : 1), 0);
}

/** Lines of at most `columns`, broken between words; a word that is longer is broken where it has to be. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<= )(?! )/)) {
    if (line !== '' && widthOf(line + word.trimEnd()) > columns) {
      lines.push(line.trimEnd());
      line = '';
    }
    line += word;
    for (let fitting = beginningOf(line, columns); fitting.length < line.trimEnd().length; fitting = beginningOf(line, columns)) {
      lines.push(fitting);
      line = line.slice(fitting.length);
    }
  }
  return [...lines, line.trimEnd()];
}

/** At most `columns` wide, so that it does not wrap. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  return `${beginningOf(text, columns - 1)}…`;
}

/** As many of its letters as fit, and one at least. */
function beginningOf(text: string, columns: number): string {
  let [kept, width] = ['', 0];
  for (const letter of Array.from(text)) {
    width += widthOf(letter);
    if (width > columns && kept !== '') break;
    kept += letter;
  }
  return kept;
}
