/** The scripts of a site in memory: what there is, how each ends, and what was run. */
import type { ScriptEnd, ScriptEntry, ScriptOrder, Scripts } from '../../provider-agent/scripts/scripts.ts';
import { FarshoreError } from '../../shared/errors.ts';

export type RunScript = ScriptOrder;

export const digest = (letter: string): string => letter.repeat(64);

export class TestScripts implements Scripts {
  readonly entries: ScriptEntry[] = [];
  /** Of scripts that do not end with 0; null is ended at its limit. */
  readonly exitCodes = new Map<string, number | null>();
  readonly ran: ScriptOrder[] = [];
  onRun: (order: ScriptOrder) => Promise<void>;

  constructor(onRun: (order: ScriptOrder) => Promise<void> = async () => {}) {
    this.onRun = onRun;
  }

  async list(): Promise<readonly ScriptEntry[]> {
    return [...this.entries];
  }

  async run(order: ScriptOrder): Promise<ScriptEnd> {
    const found = this.entries.find(({ name }) => name === order.name);
    if (found === undefined) throw new FarshoreError('ERR_SCRIPT_MISSING', order.name);
    if (found.sha256 !== order.sha256) throw new FarshoreError('ERR_SCRIPT_CHANGED', order.name);
    this.ran.push(order);
    await this.onRun(order);
    return { exitCode: this.exitCodes.get(order.name) ?? (this.exitCodes.has(order.name) ? null : 0), durationMs: 1_500, outputRef: '' };
  }
}
