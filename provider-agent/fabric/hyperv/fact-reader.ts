/** The facts of the checks, asked of the module. */
import type { FactReader } from './check-facts.ts';
import { LISTENER_RULES } from './host-judgement.ts';
import { cloudsOf, type HyperVConfig } from './hyperv-config.ts';
import { ModuleCalls } from './module-calls.ts';
import type { PowerShellHost } from './powershell-host.ts';
import { ScvmmInventory } from './scvmm-inventory.ts';

export function factReader(config: HyperVConfig, host: PowerShellHost, limitMs: number): FactReader {
  const calls: ModuleCalls = new ModuleCalls({
    host,
    clouds: () => clouds(),
    scvmm: config.scvmm ?? null,
    limitMs,
    perHost: config.callsPerHost,
    perCluster: config.callsPerCluster,
  });
  const inventory = config.scvmm === undefined ? null : new ScvmmInventory(calls, config, '');
  const clouds = async () => (inventory === null ? cloudsOf(config) : inventory.clouds());
  const cloudOf = async (name: string) => {
    const cloud = (await clouds()).find(({ hosts }) => hosts.includes(name));
    if (cloud === undefined) throw new Error(`agent.yaml names no host ${name}`);
    return cloud;
  };
  return {
    computer: (modules) => calls.ofNoHost('Get-FarshoreComputerFact', { ModuleName: modules }),
    hyperV: async (name) => calls.ofHost('Get-FarshoreHyperVFact', await cloudOf(name), name),
    remote: async (name) => calls.ofHost('Get-FarshoreRemoteFact', await cloudOf(name), name, { Rule: Object.values(LISTENER_RULES) }),
    clouds,
    brokers: async (cluster) => (await calls.ofNoHost('Get-FarshoreBroker', { Cluster: cluster })).brokers,
  };
}
