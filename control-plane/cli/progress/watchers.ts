/** The three ways to watch a job: a picture that moves on a terminal, a line for each change elsewhere, JSON lines for scripts. */
import type { Fact } from '../../../shared/engine/facts.ts';
import { errorCodes } from '../../../shared/errors.ts';
import type { StepId } from '../../../shared/ids.ts';
import type { Clock } from '../../../shared/ports.ts';
import type { Stage } from '../../../shared/protocol/commands.ts';
import { jsonText, type Output, plain } from '../output.ts';
import type { Surroundings } from '../surroundings.ts';
import { frame } from './frame.ts';
import type { JobModel } from './job-model.ts';
import { LiveTerminal } from './live-terminal.ts';
import { jobTitle, stateWords } from './words.ts';

export interface Watcher {
  /** The job as it is now; called again when it was read anew. */
  begin(model: JobModel): void;
  fact(model: JobModel, seq: number, fact: Fact): void;
  stage(step: StepId, stage: Stage): void;
  /** Something about the watching itself, such as a lost connection; empty when it is well again. */
  notice(text: string): void;
  /** Nothing more comes; what stays on the screen is told after it. */
  end(): void;
}

export function watcherFor(surroundings: Surroundings, output: Output): Watcher {
  if (output.isJson) return new JsonWatcher(output);
  const { stdout, environment } = surroundings;
  return stdout.isTTY && environment.TERM !== 'dumb' ? new LiveWatcher(surroundings, output) : new LineWatcher(output);
}

class JsonWatcher implements Watcher {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  begin(): void {}
  notice(): void {}
  end(): void {}

  fact(_model: JobModel, seq: number, fact: Fact): void {
    this.#output.line(jsonText({ type: 'fact', seq, fact }));
  }

  stage(step: StepId, stage: Stage): void {
    this.#output.line(jsonText({ type: 'stage', step, stage }));
  }
}

class LineWatcher implements Watcher {
  readonly #output: Output;
  #hasBegun = false;

  constructor(output: Output) {
    this.#output = output;
  }

  begin(model: JobModel): void {
    if (!this.#hasBegun)
      this.#output.line(`${clockOf(Date.parse(model.detail.startedAt))}  ${jobTitle(model.detail)}: job ${model.detail.id}`);
    this.#hasBegun = true;
  }

  fact(model: JobModel, _seq: number, fact: Fact): void {
    this.#output.line(`${clockOf(fact.at)}  ${wordsOf(model, fact)}`);
  }

  stage(): void {}

  notice(text: string): void {
    if (text !== '') this.#output.note(text);
  }

  end(): void {}
}

/** Often enough to look alive; rarely enough that ten thousand VMs cost little. */
const REDRAW_MS = 100;
const TICK_MS = 1_000;

class LiveWatcher implements Watcher {
  readonly #terminal: LiveTerminal;
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #isUnicode: boolean;
  readonly #stopResize: () => void;
  #model: JobModel | null = null;
  #notice = '';
  #drawnAt = 0;
  #cancel: () => void = () => {};

  constructor({ stdout, clock, environment }: Surroundings, output: Output) {
    this.#terminal = new LiveTerminal(stdout);
    this.#output = output;
    this.#clock = clock;
    this.#isUnicode = environment.TERM !== 'linux';
    const redraw = () => this.#draw();
    stdout.on('resize', redraw);
    this.#stopResize = () => stdout.off('resize', redraw);
  }

  begin(model: JobModel): void {
    this.#model = model;
    this.#draw();
  }

  fact(): void {
    this.#soon();
  }

  stage(): void {
    this.#soon();
  }

  notice(text: string): void {
    this.#notice = text;
    this.#soon();
  }

  end(): void {
    this.#cancel();
    this.#stopResize();
    this.#terminal.close();
  }

  #soon(): void {
    this.#cancel();
    const wait = Math.max(0, REDRAW_MS - (this.#clock.now() - this.#drawnAt));
    this.#cancel = this.#clock.after(wait, () => this.#draw());
  }

  #draw(): void {
    this.#cancel();
    if (!this.#model) return;
    this.#drawnAt = this.#clock.now();
    const { columns, rows } = this.#terminal;
    const { colors } = this.#output;
    this.#terminal.draw(
      frame(this.#model, { columns, rows, now: this.#drawnAt, colors, isUnicode: this.#isUnicode, notice: this.#notice }),
    );
    // Times run on between two facts.
    this.#cancel = this.#clock.after(TICK_MS, () => this.#draw());
  }
}

function wordsOf(model: JobModel, fact: Fact): string {
  if (!('step' in fact)) {
    if (fact.type === 'ended') return `the job ${stateWords[fact.state]}`;
    if (fact.type === 'givenUp') return `${plain(fact.by)} decided not to wait for a site any more: ${plain(fact.reason)}`;
    if (fact.type === 'held') return `the job is held, ${fact.code}: ${errorCodes[fact.code].cause}`;
    if (fact.type === 'resumed') return `${plain(fact.by)} let the job go on: ${plain(fact.reason)}`;
    return fact.type === 'cancelled' ? `cancelled by ${plain(fact.by)}: ${plain(fact.reason)}` : 'the job is parked: it waits for a person';
  }
  const found = model.find(fact.step);
  const subject = `${plain(found?.member.name ?? '')}  ${plain(found?.step.title ?? fact.step)}`;
  switch (fact.type) {
    case 'started':
      return `${subject}: started${fact.attempt > 1 ? `, attempt ${fact.attempt}` : ''}`;
    case 'asked':
      return `${subject}: waits for a person to confirm it`;
    case 'notNeeded':
      return `${subject}: not needed, since nobody of its group is left`;
    case 'undoStarted':
      return `${subject}: is being taken back`;
    case 'failed':
    case 'undoFailed': {
      const { code, logRef } = fact.error;
      const place = logRef === '' ? '' : ` (agent log ${logRef})`;
      return `${subject}: failed, ${code}: ${errorCodes[code].cause}${place}${fact.retry ? ' It will be tried again.' : ''}`;
    }
    case 'decided':
      return `${subject}: ${plain(fact.by)} decided to ${fact.decision}: ${plain(fact.reason)}`;
    default:
      return `${subject}: ${fact.type === 'done' ? 'done' : 'taken back'}`;
  }
}

function clockOf(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}
