/** Two emulated sites for each test of a block, behind one PowerShell that is started once. */
import { after, afterEach, before, beforeEach } from 'node:test';
import type { PowerShell } from '../powershell/powershell.ts';
import { type EmulatedPair, openEmulatedPair } from './pair.ts';
import { type EmulatedOptions, type EmulatedPowerShell, startEmulatedPowerShell } from './powershell-fabric.ts';

export interface PairForEachOptions extends EmulatedOptions {
  readonly mode?: 'plain' | 'scvmm';
}

/** `use` is told of them before each test. Where no engine was found the block is skipped. */
export function pairForEach(
  found: PowerShell | string,
  use: (pair: EmulatedPair, powerShell: EmulatedPowerShell) => void,
  { mode = 'plain', ...options }: PairForEachOptions = {},
): void {
  let powerShell: EmulatedPowerShell;
  let pair: EmulatedPair;
  before(async () => {
    if (typeof found !== 'string') powerShell = await startEmulatedPowerShell(found, options);
  });
  after(() => powerShell.close());
  beforeEach(async () => {
    pair = await openEmulatedPair(powerShell, mode);
    use(pair, powerShell);
  });
  afterEach(() => pair.close());
}
