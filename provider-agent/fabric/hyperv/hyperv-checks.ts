/** The checks of a site of Hyper-V hosts: this computer, then every host, then every cluster. They read, and change nothing. */
import { FarshoreError } from '../../../shared/errors.ts';
import type { Clock } from '../../../shared/ports.ts';
import { FabricError } from '../fabric-error.ts';
import type { CheckFinding, SiteCheck } from '../site-check.ts';
import type { FactReader } from './check-facts.ts';
import { judgeHost } from './host-judgement.ts';
import type { HyperVCloud } from './hyperv-config.ts';

const OLDEST_POWERSHELL = [5, 1] as const;

/** How each module that is needed comes to a server. */
const modules: Readonly<Record<string, { readonly feature: string; readonly forClusters: boolean }>> = {
  'Hyper-V': { feature: 'Hyper-V-PowerShell', forClusters: false },
  FailoverClusters: { feature: 'RSAT-Clustering-PowerShell', forClusters: true },
};

export function hyperVChecks(read: FactReader, clouds: readonly HyperVCloud[], clock: Clock): SiteCheck[] {
  return [
    { name: 'hyperv.computer', run: () => checkComputer(read, clouds) },
    ...clouds.flatMap((cloud) =>
      cloud.hosts.map((host) => ({ name: `hyperv.host ${host}`, run: () => checkHost(read, cloud, host, clock) })),
    ),
    ...clouds.flatMap((cloud) =>
      cloud.cluster === null ? [] : [{ name: `hyperv.broker ${cloud.cluster}`, run: () => checkBroker(read, cloud, cloud.cluster ?? '') }],
    ),
  ];
}

async function checkComputer(read: FactReader, clouds: readonly HyperVCloud[]): Promise<CheckFinding[]> {
  const hasClusters = clouds.some(({ cluster }) => cluster !== null);
  const needed = Object.keys(modules).filter((name) => hasClusters || modules[name]?.forClusters === false);
  const subject = 'this computer';
  const { powerShell, account, modules: there } = await read.computer(needed);
  const [major = 0, minor = 0] = powerShell.split('.').map(Number);
  const isNew = major > OLDEST_POWERSHELL[0] || (major === OLDEST_POWERSHELL[0] && minor >= OLDEST_POWERSHELL[1]);
  const version = { check: 'hyperv.powershell', subject, found: `PowerShell ${powerShell} as ${account}` };
  return [
    isNew
      ? { ...version, state: 'ok' }
      : {
          ...version,
          state: 'missing',
          cause: 'The module of the agent needs Windows PowerShell 5.1 or PowerShell 7.',
          remedy: 'Install Windows Management Framework 5.1.',
        },
    ...needed.map((name): CheckFinding => {
      const check = { check: 'hyperv.module', subject: name };
      if (there.some((each) => each.toLowerCase() === name.toLowerCase())) return { ...check, state: 'ok', found: 'is there' };
      return {
        ...check,
        state: 'missing',
        found: 'is not there',
        cause: 'The cmdlets that the agent calls are not on this computer.',
        remedy: `In a window that was opened as administrator: Install-WindowsFeature ${modules[name]?.feature}`,
      };
    }),
  ];
}

async function checkHost(read: FactReader, cloud: HyperVCloud, host: string, clock: Clock): Promise<CheckFinding[]> {
  const [hyperV, remote] = await Promise.allSettled([read.hyperV(host), read.remote(host)]);
  const nowMs = clock.now();
  return [
    hyperV.status === 'fulfilled'
      ? { check: 'hyperv.rights', subject: host, state: 'ok', found: `Hyper-V answers; ${hyperV.value.vms} VMs are seen` }
      : deniedHyperV(host, hyperV.reason),
    remote.status === 'fulfilled'
      ? { check: 'hyperv.remoting', subject: host, state: 'ok', found: 'PowerShell remoting answers' }
      : deniedRemoting(host, remote.reason),
    ...(hyperV.status === 'fulfilled' && remote.status === 'fulfilled'
      ? judgeHost({ host, cloud, hyperV: hyperV.value, remote: remote.value, nowMs })
      : []),
  ];
}

function deniedHyperV(host: string, reason: unknown): CheckFinding {
  const check = { check: 'hyperv.rights', subject: host, state: 'missing', found: saidBy(reason) } as const;
  return isDenied(reason)
    ? {
        ...check,
        cause: 'The account may not manage Hyper-V on the host.',
        remedy: `On ${host}: Add-LocalGroupMember -Group 'Hyper-V Administrators' -Member <account>; then start the agent anew.`,
      }
    : {
        ...check,
        cause: 'Hyper-V on the host did not answer.',
        remedy: `Look whether ${host} is up, its name is resolved, its service vmms runs, and its firewall lets WMI and WinRM in.`,
      };
}

function deniedRemoting(host: string, reason: unknown): CheckFinding {
  return {
    check: 'hyperv.remoting',
    subject: host,
    state: 'missing',
    found: saidBy(reason),
    cause: 'Hosts are prepared for a pairing by PowerShell remoting: a certificate is imported and a firewall rule is enabled there.',
    remedy: `On ${host}: Enable-PSRemoting, and the account in the local group Administrators. Without it, prepare the host by hand (docs/windows.md).`,
  };
}

async function checkBroker(read: FactReader, { name, replicaServer, makeBroker }: HyperVCloud, cluster: string): Promise<CheckFinding[]> {
  const check = { check: 'hyperv.broker', subject: cluster };
  const brokers = await read.brokers(cluster);
  const found =
    brokers.length === 0 ? 'no Replica Broker' : brokers.map(({ name: broker, state }) => `${broker} is ${state.toLowerCase()}`).join(', ');
  if (brokers.length === 0) {
    const cause = 'A cluster takes replicas by its broker alone: VMs move between its nodes.';
    if (makeBroker !== null) return [{ ...check, state: 'warning', found, cause, remedy: 'Nothing now: pairing the cloud makes it.' }];
    const byHand = 'Make the role "Hyper-V Replica Broker" in the Failover Cluster Manager, and name it as replicaServer in agent.yaml';
    return [{ ...check, state: 'missing', found, cause, remedy: `${byHand}; or let the agent make it (makeBroker).` }];
  }
  if (brokers.every(({ state }) => state !== 'Online'))
    return [
      {
        ...check,
        state: 'missing',
        found,
        cause: 'The broker does not run, so no replicas come in.',
        remedy: `Start-ClusterGroup -Cluster ${cluster} -Name ${brokers[0]?.name}`,
      },
    ];
  if (replicaServer === '')
    return [
      {
        ...check,
        state: 'missing',
        found,
        cause: `agent.yaml does not say where replicas for ${name} are sent to.`,
        remedy: 'Name the broker as replicaServer of the cloud in agent.yaml.',
      },
    ];
  return [{ ...check, state: 'ok', found }];
}

const isDenied = (reason: unknown): boolean =>
  (reason instanceof FabricError && reason.errorId === 'AccessDenied') ||
  /access ?denied|access is denied|unauthorized/i.test(saidBy(reason));

const saidBy = (reason: unknown): string => (reason instanceof FarshoreError || reason instanceof Error ? reason.message : String(reason));
