/** Puts the Hyper-V fabric together on a real machine: PowerShell, the host script beside this file, and the module that it may ask. */
import { join } from 'node:path';
import type { Clock, Random } from '../../../shared/ports.ts';
import { powerShell } from '../../process/powershell.ts';
import type { HyperVConfig } from './hyperv-config.ts';
import { HyperVFabric } from './hyperv-fabric.ts';
import { PowerShellHost } from './powershell-host.ts';
import { openPreparations } from './preparations.ts';

export interface OpenHyperV {
  readonly config: HyperVConfig;
  readonly preparationsFile: string;
  readonly callLimitMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

const folder = join(import.meta.dirname, 'module');
const switches = ['-NoLogo', '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'RemoteSigned'];
const limits = { startMs: 60_000, answerBytes: 64 * 1024 * 1024, noiseBytes: 1024 * 1024 };

/** What follows the switches of PowerShell. */
export function hostArguments(): string[] {
  return ['-File', join(folder, 'Start-FarshoreHost.ps1'), '-ModulePath', join(folder, 'Farshore.HyperV.psm1')];
}

/** Throws ERR_DOCUMENT_INVALID where the file of preparations is damaged. */
export async function openHyperVFabric({ config, preparationsFile, callLimitMs, clock, random }: OpenHyperV): Promise<HyperVFabric> {
  const preparations = await openPreparations(preparationsFile);
  const file = config.powershell ?? powerShell(process.platform, process.env);
  const program = { file, args: [...switches, ...hostArguments()], environment: process.env };
  const host = new PowerShellHost({ program, limits, atOnce: config.callsAtOnce, clock, random });
  return new HyperVFabric({ config, host, preparations, instanceId: random.uuid(), callLimitMs });
}
