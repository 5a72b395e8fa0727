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
import type { Preparation, Preparations } from '../../../provider-agent/fabric/hyperv/preparations.ts';
import { systemClock, systemRandom } from '../../../shared/system-ports.ts';
import { startModelServer } from '../powershell/model-server.ts';
import type { PowerShell } from '../powershell/powershell.ts';
import type { EmulatedHyperV } from './emulated-hyperv.ts';
import { EmulatedHosts, type EmulatedSite } from './hosts.ts';

/** There is no other computer to go to: what would run there runs here. */
const prelude = `function global:Invoke-Command {
  param([string[]]$ComputerName, [scriptblock]$ScriptBlock, [object[]]$ArgumentList)
  & $ScriptBlock @ArgumentList
}
`;

export interface EmulatedPowerShell {
  readonly host: PowerShellHost;
  /** What answers the cmdlets from now on. */
  use(hyperV: EmulatedHyperV): void;
  close(): Promise<void>;
}

export async function startEmulatedPowerShell(powerShell: PowerShell): Promise<EmulatedPowerShell> {
  let current: EmulatedHyperV | null = null;
  const model = await startModelServer((call) => {
    if (current === null) throw new Error('no Hyper-V is emulated yet');
    return current.answer(call);
  });
  const folder = mkdtempSync(join(tmpdir(), 'farshore-prelude-'));
  const file = join(folder, 'prelude.ps1');
  writeFileSync(file, prelude);
  const [program, ...first] = powerShell.program;
  const host = new PowerShellHost({
    program: {
      file: program,
      args: [...first, ...hostArguments()],
      environment: { ...process.env, ...powerShell.environment({ model }), FARSHORE_PRELUDE: file },
    },
    limits: { startMs: 60_000, answerBytes: 16 * 1024 * 1024, noiseBytes: 1024 * 1024 },
    atOnce: 2,
    clock: systemClock,
    random: systemRandom,
  });
  return {
    host,
    use: (hyperV) => {
      current = hyperV;
    },
    close: async () => {
      host.close();
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The agent's configuration for an emulated site; `senders` are the sites whose hosts may send to it. */
export function configOf({ definition }: EmulatedSite, senders: readonly EmulatedSite[]): HyperVConfig {
  const hostsOf = (cloud: { readonly hosts: readonly string[] }) => cloud.hosts.map((host) => EmulatedHosts.fullName(definition, host));
  return HyperVConfig.parse({
    kind: 'hyperv',
    name: definition.name,
    clouds: definition.clouds.map((cloud) => ({ id: cloud.id, name: cloud.name, hosts: hostsOf(cloud), replicaStorage: 'D:\\Replicas' })),
    senders: senders.map((sender) => ({ site: sender.siteId, hosts: [`*.${sender.definition.name}.example`] })),
  });
}

export function fabricOf(config: HyperVConfig, host: PowerShellHost, callLimitMs = 60_000): HyperVFabric {
  return new HyperVFabric({ config, host, preparations: keptInMemory(), instanceId: systemRandom.uuid(), callLimitMs });
}

function keptInMemory(): Preparations {
  let kept: readonly Preparation[] = [];
  return {
    all: () => kept,
    replace: async (preparations) => {
      kept = preparations;
    },
  };
}
