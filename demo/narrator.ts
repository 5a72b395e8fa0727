/** What the demo says: numbered chapters with the time since it began. */
import colors from 'picocolors';

export class Narrator {
  readonly #beganAt = performance.now();
  #chapter = 0;

  chapter(title: string): void {
    const seconds = ((performance.now() - this.#beganAt) / 1000).toFixed(0).padStart(3);
    console.log(`\n${colors.dim(`${seconds} s`)}  ${colors.bold(`${++this.#chapter}. ${title}`)}`);
  }

  say(sentence: string): void {
    console.log(sentence);
  }

  /** While something is under way: one line on a terminal that moves, and only its end elsewhere. */
  async whileWaiting<T>(sentence: string, work: Promise<T>): Promise<T> {
    const isTerminal = process.stdout.isTTY === true;
    const beganAt = performance.now();
    const seconds = () => ((performance.now() - beganAt) / 1000).toFixed(1);
    const timer = isTerminal ? setInterval(() => process.stdout.write(`\r\x1b[K${sentence} ${colors.dim(`${seconds()} s`)}`), 200) : null;
    try {
      return await work;
    } finally {
      if (timer) clearInterval(timer);
      if (isTerminal) process.stdout.write('\r\x1b[K');
      console.log(`${sentence} ${colors.dim(`${seconds()} s`)}`);
    }
  }
}
