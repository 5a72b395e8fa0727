/** The facts of the checks, asked of the module. */
import type { FactReader } from './check-facts.ts';
import { LISTENER_RULES } from './host-judgement.ts';
import { cloudsOf, type HyperVConfig } from './hyperv-config.ts';
import { ModuleCalls } from './module-calls.ts';
import type { PowerShellHost } from './powershell-host.ts';

export function factReader(config: HyperVConfig, host: PowerShellHost, limitMs: number): FactReader {
  const clouds = cloudsOf(config);
  const calls = new ModuleCalls(host, clouds, { limitMs, perHost: config.callsPerHost, perCluster: config.callsPerCluster });
  const cloudOf = (name: string) => {
    const cloud = clouds.find(({ hosts }) => hosts.includes(name));
    if (cloud === undefined) throw new Error(`agent.yaml names no host ${name}`);
    return cloud;
  };
  return {
    computer: (modules) => calls.ofComputer('Get-FarshoreComputerFact', { ModuleName: modules }),
    hyperV: (name) => calls.ofHost('Get-FarshoreHyperVFact', cloudOf(name), name),
    remote: (name) => calls.ofHost('Get-FarshoreRemoteFact', cloudOf(name), name, { Rule: Object.values(LISTENER_RULES) }),
    brokers: async (cluster) => (await calls.ofComputer('Get-FarshoreBroker', { Cluster: cluster })).brokers,
  };
}
