/** Passwords and secrets come from standard input: typed unseen on a terminal, or piped in, one a line. Never from arguments. */
import { createInterface } from 'node:readline';
import { FarshoreError } from '../../shared/errors.ts';
import type { Surroundings } from './surroundings.ts';

export class SecretInput {
  readonly #surroundings: Surroundings;
  #piped: AsyncIterator<string> | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Throws ERR_REQUEST_INVALID where none comes. */
  async ask(what: string): Promise<string> {
    const { stdin } = this.#surroundings;
    const answer = stdin.isTTY ? await this.#askUnseen(what) : await this.#nextLine();
    if (answer === '') throw new FarshoreError('ERR_REQUEST_INVALID', `${what}: none was given`);
    return answer;
  }

  /** Lets the program end. */
  close(): void {
    void this.#piped?.return?.(undefined);
  }

  async #nextLine(): Promise<string> {
    this.#piped ??= createInterface({ input: this.#surroundings.stdin })[Symbol.asyncIterator]();
    const { value, done } = await this.#piped.next();
    return done ? '' : String(value).trim();
  }

  #askUnseen(what: string): Promise<string> {
    const { stdin, stderr } = this.#surroundings;
    stderr.write(`${what}: `);
    stdin.setRawMode(true).setEncoding('utf8').resume();
    return new Promise((resolve, reject) => {
      let typed = '';
      const end = () => {
        stdin.off('data', take).setRawMode(false).pause();
        stderr.write('\n');
      };
      const take = (keys: string) => {
        for (const key of keys) {
          if (key === '\r' || key === '\n' || key === '\u0004') {
            end();
            return resolve(typed);
          }
          if (key === '\u0003') {
            end();
            return reject(new FarshoreError('ERR_CANCELLED', 'given up'));
          }
          if (key === '\u007f' || key === '\b') typed = Array.from(typed).slice(0, -1).join('');
          else if (key >= ' ') typed += key;
        }
      };
      stdin.on('data', take);
    });
  }
}
