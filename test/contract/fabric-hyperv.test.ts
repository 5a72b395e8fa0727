/** The Hyper-V fabric keeps the contract of the fabric port: the real module in the real PowerShell engine, over an emulated Hyper-V. */
import { after, before, describe } from 'node:test';
import { openEmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { type EmulatedPowerShell, startEmulatedPowerShell } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';
import { describeFabricContract } from './fabric-contract.ts';
import { describeOlderPointContract } from './fabric-contract-reversal.ts';

const found = await findPowerShell();

describe('over PowerShell', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  before(async () => {
    if (typeof found !== 'string') powerShell = await startEmulatedPowerShell(found);
  });
  after(() => powerShell.close());
  for (const [mode, sites] of [
    ['plain', 'two sites of plain hosts'],
    ['scvmm', 'two sites with an SCVMM each'],
  ] as const) {
    const name = `Hyper-V through the module, ${sites}`;
    describeFabricContract(name, () => openEmulatedPair(powerShell, mode));
    describeOlderPointContract(name, () => openEmulatedPair(powerShell, mode));
  }
});
