/**
 * The PowerShell of a site: a few long-lived processes that are asked by turns, and one more that stands ready (ADR 0026). Calls of one
 * process follow one another, so that whatever hangs is ended alone. How many run at once is limited for all, and for each lane that a call
 * names: a host, a cluster.
 */
import { Slots } from '../../../shared/lanes.ts';
import type { Clock, Random } from '../../../shared/ports.ts';
import { FabricError } from '../fabric-error.ts';
import { type HostProgram, PowerShellProcess, type ProcessLimits, type ScvmmAddress } from './powershell-process.ts';

export interface PowerShellHostOptions {
  readonly program: HostProgram;
  readonly limits: ProcessLimits;
  /** Calls at once, and processes but one. */
  readonly atOnce: number;
  readonly clock: Clock;
  readonly random: Random;
}

export interface PowerShellCall {
  /** Of the module; the host script knows no other. */
  readonly function: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly scvmm?: ScvmmAddress | null;
  readonly limitMs: number;
  /** At most so many at once in each of them. */
  readonly lanes?: readonly { readonly key: string; readonly atOnce: number }[];
  readonly signal?: AbortSignal | undefined;
}

export class PowerShellHost {
  readonly #options: PowerShellHostOptions;
  readonly #slots: Slots;
  readonly #lanes = new Map<string, Slots>();
  readonly #idle: PowerShellProcess[] = [];
  readonly #busy = new Set<PowerShellProcess>();
  #isClosed = false;

  constructor(options: PowerShellHostOptions) {
    this.#options = options;
    this.#slots = new Slots(options.atOnce);
    this.#keepSpare();
  }

  /** The value that the function answers. Throws FabricError: what it says, or that there was no answer. */
  call(call: PowerShellCall): Promise<unknown> {
    const ask = () => this.#slots.run(() => this.#ask(call));
    const inLanes = (call.lanes ?? []).reduce<() => Promise<unknown>>((work, { key, atOnce }) => {
      const lane = this.#lanes.get(key) ?? new Slots(atOnce);
      this.#lanes.set(key, lane);
      return () => lane.run(work);
    }, ask);
    return inLanes();
  }

  close(): void {
    this.#isClosed = true;
    for (const each of [...this.#idle, ...this.#busy]) each.end();
  }

  async #ask({ function: name, arguments: given, scvmm = null, limitMs, signal }: PowerShellCall): Promise<unknown> {
    if (this.#isClosed || signal?.aborted)
      throw new FabricError('ERR_FABRIC_TIMEOUT', 'OperationTimeout', name, `${name} was given up before it was begun`, {
        cause: signal?.reason,
      });
    const one = this.#idle.find((each) => !each.isEnded) ?? this.#start();
    this.#drop(one);
    this.#busy.add(one);
    this.#keepSpare();
    try {
      return await one.ask({ id: this.#options.random.uuid(), function: name, arguments: given, scvmm }, limitMs, signal);
    } finally {
      this.#busy.delete(one);
      if (!one.isEnded && !this.#isClosed) this.#idle.unshift(one);
      this.#keepSpare();
    }
  }

  #start(): PowerShellProcess {
    const { program, limits, clock } = this.#options;
    return new PowerShellProcess(program, limits, clock);
  }

  #drop(one: PowerShellProcess): void {
    const at = this.#idle.indexOf(one);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Starts one that nobody has asked for yet, so that the next caller need not wait for it. */
  #keepSpare(): void {
    for (const each of this.#idle.filter(({ isEnded }) => isEnded)) this.#drop(each);
    if (!this.#isClosed && this.#idle.length === 0) this.#idle.push(this.#start());
  }
}
