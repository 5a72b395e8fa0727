/**
 * The scripts port: scripts that administrators of the site have put into its folder. A plan names one with the digest of its
 * text, so whoever changes the plan cannot run anything else, and whoever changes the script is noticed.
 */

import type { CommandId } from '../../shared/ids.ts';

export interface ScriptEntry {
  readonly name: string;
  /** SHA-256 of its bytes, hex. */
  readonly sha256: string;
}

export interface ScriptOrder extends ScriptEntry {
  /** Why it is run. */
  readonly commandId: CommandId;
  /** What it reads on its standard input. */
  readonly input: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly limitMs: number;
}

export interface ScriptEnd {
  /** Null: it was ended, with all that it had started, because its time was over. */
  readonly exitCode: number | null;
  readonly durationMs: number;
  /** Under which name the site keeps its output; empty where none could be kept. */
  readonly outputRef: string;
}

export interface Scripts {
  /** What may be run here now; empty where there is no folder, or one that others may write to. */
  list(): Promise<readonly ScriptEntry[]>;
  /**
   * Runs it once. Throws before anything was run: ERR_SCRIPT_MISSING, ERR_SCRIPT_CHANGED, ERR_SCRIPTS_UNSAFE, ERR_SCRIPT_FAILED where it
   * could not be started.
   */
  run(order: ScriptOrder): Promise<ScriptEnd>;
}
