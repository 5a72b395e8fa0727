/**
 * The Hyper-V fabric over the real module in the real PowerShell, with an emulated Hyper-V behind the cmdlets. Processes are started once
 * and asked by one test after the other: what stands behind them is changed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HyperVConfig } from '../../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { HyperVFabric } from '../../../provider-agent/fabric/hyperv/hyperv-fabric.ts';
import { hostArguments } from '../../../provider-agent/fabric/hyperv/open-hyperv.ts';
import { PowerShellHost } from '../../../provider-agent/fabric/hyperv/powershell-host.ts';
import type { HostProgram } from '../../../provider-agent/fabric/hyperv/powershell-process.ts';
import type { Preparation, Preparations } from '../../../provider-agent/fabric/hyperv/preparations.ts';
import type { MappableNetwork } from '../../../shared/domain/network-map.ts';
import { systemClock, systemRandom } from '../../../shared/system-ports.ts';
import { startModelServer } from '../powershell/model-server.ts';
import type { PowerShell } from '../powershell/powershell.ts';
import type { EmulatedHyperV } from './emulated-hyperv.ts';
import { EmulatedHosts, type EmulatedSite } from './hosts.ts';

/** There is no other computer to go to: what would run there runs here. */
const elsewhere = `function global:Invoke-Command {
  param([string[]]$ComputerName, [scriptblock]$ScriptBlock, [object[]]$ArgumentList)
  & $ScriptBlock @ArgumentList
}
`;

/** Cmdlets of PowerShell itself that look at Windows: they ask the model too. */
const ofWindows: Readonly<Record<string, string>> = { 'Microsoft.PowerShell.Management': 'Get-ChildItem', CimCmdlets: 'Get-CimInstance' };

function preludeOf({ built }: PowerShell): string {
  const imports = Object.entries(ofWindows).map(
    ([module, cmdlet]) => `Import-Module -Global -Name '${join(built.ownModules, module, `${module}.psd1`)}' -Cmdlet '${cmdlet}'\n`,
  );
  return `${elsewhere}${imports.join('')}`;
}

/** PowerShell with the stub cmdlets, to be started by whoever wants one. */
export interface PreparedPowerShell {
  readonly host: HostProgram;
  /** As `powershell` of an agent's configuration; null where this system has no such thing. */
  readonly program: string | null;
  /** What answers the cmdlets from now on. */
  use(hyperV: Pick<EmulatedHyperV, 'answer'>): void;
  close(): Promise<void>;
}

export interface EmulatedPowerShell extends Omit<PreparedPowerShell, 'host'> {
  readonly host: PowerShellHost;
}

export interface EmulatedOptions {
  /** Whose habits with JSON it has. */
  readonly edition?: 'Desktop' | 'Core';
  /** In place of ours. */
  readonly module?: string;
}

export async function startEmulatedPowerShell(powerShell: PowerShell, options: EmulatedOptions = {}): Promise<EmulatedPowerShell> {
  const prepared = await preparePowerShell(powerShell, options);
  const host = new PowerShellHost({
    program: prepared.host,
    limits: { startMs: 60_000, answerBytes: 16 * 1024 * 1024, noiseBytes: 1024 * 1024 },
    atOnce: 2,
    clock: systemClock,
    random: systemRandom,
  });
  return {
    ...prepared,
    host,
    close: async () => {
      host.close();
      await prepared.close();
    },
  };
}

export async function preparePowerShell(
  powerShell: PowerShell,
  { edition = 'Desktop', module = hostArguments()[3] ?? '' }: EmulatedOptions = {},
): Promise<PreparedPowerShell> {
  let current: Pick<EmulatedHyperV, 'answer'> | null = null;
  const model = await startModelServer((call) => {
    if (current === null) throw new Error('no Hyper-V is emulated yet');
    return current.answer(call);
  });
  const folder = mkdtempSync(join(tmpdir(), 'farshore-emulated-'));
  const environment = powerShell.environment({ model, edition });
  const [file, ...args] = [...powerShell.program, '-File', writeHostScript(folder, module, preludeOf(powerShell))] as const;
  return {
    host: { file, args, environment: { ...process.env, ...environment } },
    program: process.platform === 'win32' ? null : writeProgram(folder, [file, ...args], environment),
    use: (hyperV) => {
      current = hyperV;
    },
    close: async () => {
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The host script with what stands in for other computers before it. */
function writeHostScript(folder: string, module: string, prelude: string): string {
  const [, script = ''] = hostArguments();
  const file = join(folder, 'host.ps1');
  writeFileSync(file, `${prelude}. '${script}' -ModulePath '${module}'\n`);
  return file;
}

/** A program that runs the emulated host whatever arguments an agent gives to its PowerShell. */
function writeProgram(folder: string, command: readonly string[], environment: Readonly<Record<string, string>>): string {
  const file = join(folder, 'powershell');
  const settings = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'\n`);
  writeFileSync(file, `#!/bin/sh\n${settings.join('')}exec ${command.map((word) => `'${word}'`).join(' ')}\n`, { mode: 0o700 });
  return file;
}

/** The same site by its SCVMM, which knows hosts and networks. */
export function scvmmConfigOf(site: EmulatedSite, senders: readonly EmulatedSite[]): HyperVConfig {
  const { clouds, ...config } = configOf(site, senders);
  const scvmm = { server: `vmm.${site.definition.name}.example` };
  return HyperVConfig.parse({ ...config, scvmm, clouds: clouds.map(({ hosts: _told, ...cloud }) => cloud) });
}

/** The agent's configuration for an emulated site; `senders` are the sites whose hosts may send to it. */
export function configOf(
  { definition }: EmulatedSite,
  senders: readonly EmulatedSite[],
  networks: readonly Pick<MappableNetwork, 'name' | 'subnets'>[] = [],
): HyperVConfig {
  const hostsOf = (cloud: { readonly hosts: readonly string[] }) => cloud.hosts.map((host) => EmulatedHosts.fullName(definition, host));
  return HyperVConfig.parse({
    kind: 'hyperv',
    name: definition.name,
    networks,
    clouds: definition.clouds.map((cloud) => ({ id: cloud.id, name: cloud.name, hosts: hostsOf(cloud), replicaStorage: 'D:\\Replicas' })),
    senders: senders.map((sender) => ({ site: sender.siteId, hosts: [`*.${EmulatedHosts.domain(sender.definition)}`] })),
  });
}

export function fabricOf(config: HyperVConfig, host: PowerShellHost, callLimitMs = 60_000): HyperVFabric {
  return new HyperVFabric({ config, host, preparations: keptInMemory(), instanceId: systemRandom.uuid(), callLimitMs });
}

function keptInMemory(): Preparations {
  let kept: readonly Preparation[] = [];
  return {
    all: () => kept,
    change: async (work) => {
      kept = work(kept);
    },
  };
}
