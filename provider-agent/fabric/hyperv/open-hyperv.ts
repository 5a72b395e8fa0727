/** Puts the Hyper-V fabric together on a real machine: PowerShell, the host script beside this file, and the module that it may ask. */
import { join } from 'node:path';
import type { Clock, Random } from '../../../shared/ports.ts';
import { powerShell } from '../../process/powershell.ts';
import type { SiteCheck } from '../site-check.ts';
import { factReader } from './fact-reader.ts';
import { hyperVChecks } from './hyperv-checks.ts';
import { cloudsOf, type HyperVConfig } from './hyperv-config.ts';
import { HyperVFabric } from './hyperv-fabric.ts';
import { PowerShellHost } from './powershell-host.ts';
import { openPreparations } from './preparations.ts';
import { scvmmChecks } from './scvmm-checks.ts';

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
  const host = openHost(config, clock, random);
  return new HyperVFabric({ config, host, preparations, instanceId: random.uuid(), callLimitMs });
}

/** The checks of the site, over PowerShell processes of their own. */
export async function openHyperVChecks({ config, callLimitMs, clock, random }: Omit<OpenHyperV, 'preparationsFile'>): Promise<{
  readonly checks: readonly SiteCheck[];
  close(): void;
}> {
  const host = openHost(config, clock, random);
  const read = factReader(config, host, callLimitMs);
  const checks = config.scvmm === undefined ? hyperVChecks(read, cloudsOf(config), clock) : await scvmmChecks(read, config.scvmm, clock);
  return { checks, close: () => host.close() };
}

function openHost(config: HyperVConfig, clock: Clock, random: Random): PowerShellHost {
  const file = config.powershell ?? powerShell(process.platform, process.env);
  const program = { file, args: [...switches, ...hostArguments()], environment: process.env };
  return new PowerShellHost({ program, limits, atOnce: config.callsAtOnce, clock, random });
}
