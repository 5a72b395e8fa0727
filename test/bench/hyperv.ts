/**
 * The Hyper-V fabric: reading an inventory of 10,000 VMs as the module answers it, from plain hosts and from SCVMM (limit 2 s; a change of ten is ten), and what one call of
 * the fabric takes beside the bare cmdlet in the same PowerShell (limit 5 ms at the median), over the emulated Hyper-V.
 */
import { spawnSync } from 'node:child_process';
import { answers, viewOf } from '../../provider-agent/fabric/hyperv/hyperv-answers.ts';
import { cloudsOf, HyperVConfig, networkIdOf } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { Inventory } from '../../provider-agent/fabric/hyperv/inventory.ts';
import { ModuleCalls } from '../../provider-agent/fabric/hyperv/module-calls.ts';
import type { PowerShellCall, PowerShellHost } from '../../provider-agent/fabric/hyperv/powershell-host.ts';
import { ScvmmInventory } from '../../provider-agent/fabric/hyperv/scvmm-inventory.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const VMS = 10_000;
const CHANGED = 10;
const LIMIT_SECONDS = 2;

const told = (isKept: boolean) => (isKept ? 'kept' : 'MISSED');

measureInventory();
await measureScvmm();
// The stubs of the cmdlets are built beside their sources, which dist/ does not have.
const calls = spawnSync(process.execPath, ['test/support/emulated-hyperv/measure-calls.ts'], { stdio: 'inherit' });
if (calls.status !== 0) process.exitCode = 1;

function machine(index: number, power: string) {
  return {
    id: uuidOf(`vm ${index}`),
    name: `vm-${index}`,
    host: 'hv1.bench.example',
    power,
    mode: 'Primary',
    state: 'Replicating',
    health: 'Normal',
    switches: ['LAN', 'Backup'],
    addresses: [[`10.0.${index % 250}.7`], []],
    tags: [],
    notes: [`epoch/${uuidOf('cloud')}=3`],
    replication: {
      copyFrequencySeconds: 300,
      recoveryHistory: 4,
      vssHours: null,
      compression: true,
      authentication: 'Certificate',
      lastReplicationAt: 1_790_000_000_000 + index,
      failoverType: '',
    },
  };
}

function measureInventory(): void {
  const inventory = new Inventory('bench', []);
  const [cloud] = cloudsOf({
    kind: 'hyperv',
    name: 'bench',
    clouds: [{ name: 'Gold', hosts: ['hv1.bench.example'], replicaStorage: 'D:' }],
    networks: [],
    senders: [],
    callsAtOnce: 1,
    callsPerHost: 1,
    callsPerCluster: 1,
  });
  if (cloud === undefined) throw new Error('no cloud');
  const networkIds = new Map(['LAN', 'Backup'].map((name) => [name, networkIdOf('bench', name)] as const));
  const read = (text: string) => {
    const { vms } = answers.inventory.parse(JSON.parse(text));
    const seen = vms.map((each) => ({
      view: viewOf(each, cloud, (name) => networkIds.get(name) ?? networkIdOf('bench', name)),
      host: each.host,
    }));
    inventory.take(seen, [], new Set());
  };
  const textOf = (changed: number) =>
    JSON.stringify({ switches: [], vms: Array.from({ length: VMS }, (_, i) => machine(i, i < changed ? 'Off' : 'Running')) });
  const [first, second] = [textOf(0), textOf(CHANGED)];
  const begun = performance.now();
  read(first);
  const { cursor, vms } = inventory.since(null);
  const seconds = (performance.now() - begun) / 1000;
  read(second);
  const changed = inventory.since(cursor).vms.length;
  const isKept = seconds <= LIMIT_SECONDS && vms.length === VMS && changed === CHANGED;
  console.log(
    `${VMS} VMs (${(first.length / 1e6).toFixed(1)} MB): ${seconds.toFixed(2)} s, ${(seconds / LIMIT_SECONDS).toFixed(2)} of the limit; ${CHANGED} changed: ${changed} told. ${told(isKept)}`,
  );
  if (!isKept) process.exitCode = 1;
}

/** Half of the VMs replicate: their hosts are asked each time, SCVMM only for what changed. */
async function measureScvmm(): Promise<void> {
  const HOSTS = 100;
  const hostOf = (index: number) => `hv${index % HOSTS}.bench.example`;
  const vm = (index: number, power: string) => {
    const { id, name, tags, notes } = machine(index, power);
    const networks = [uuidOf('LAN'), ''];
    return { key: uuidOf(`of SCVMM ${index}`), id, name, host: hostOf(index), cloud: 'Gold', power, networks, tags, notes };
  };
  const all = Array.from({ length: VMS }, (_, i) => vm(i, 'Running'));
  const site = {
    clouds: [{ name: 'Gold', hosts: Array.from({ length: HOSTS }, (_, i) => ({ name: hostOf(i), cluster: 'C1' })) }],
    networks: [{ id: uuidOf('LAN'), name: 'LAN' }],
    keys: all.map(({ key }) => key).join(' '),
  };
  const first = JSON.stringify({ ...site, vms: all, newest: 1 });
  const second = JSON.stringify({ ...site, vms: all.slice(0, CHANGED).map((each) => ({ ...each, power: 'PowerOff' })), newest: 2 });
  const replications = new Map(
    Array.from({ length: HOSTS }, (_, host) => {
      const own = Array.from({ length: VMS / HOSTS }, (__, i) => machine(i * HOSTS + host, 'Running')).filter((__, i) => i % 2 === 0);
      return [
        hostOf(host),
        JSON.stringify({ replications: own.map(({ id, mode, state, health, replication }) => ({ id, mode, state, health, replication })) }),
      ];
    }),
  );
  const answer = async ({ function: name, arguments: { Since, HostName } }: PowerShellCall): Promise<unknown> => {
    if (name === 'Get-FarshoreReplication') return JSON.parse(replications.get(String(HostName)) ?? '');
    return JSON.parse(Since === 0 ? first : second);
  };
  const host = { call: answer } as unknown as PowerShellHost;
  const scvmm = { server: 'vmm.bench.example', port: 8100 };
  const calls: ModuleCalls = new ModuleCalls({
    host,
    clouds: () => inventory.clouds(),
    scvmm,
    limitMs: 1,
    perHost: 1,
    perCluster: 1,
  });
  const config = { kind: 'hyperv', name: 'bench', scvmm, clouds: [{ name: 'Gold', replicaStorage: 'D:' }] } as const;
  const inventory = new ScvmmInventory(calls, HyperVConfig.parse(config), 'bench');
  const begun = performance.now();
  const { cursor, vms } = await inventory.read(null);
  const seconds = (performance.now() - begun) / 1000;
  const again = performance.now();
  const changed = (await inventory.read(cursor)).vms.length;
  const isKept = seconds <= LIMIT_SECONDS && vms.length === VMS && changed === CHANGED;
  console.log(
    `${VMS} VMs of SCVMM on ${HOSTS} hosts: ${seconds.toFixed(2)} s, ${(seconds / LIMIT_SECONDS).toFixed(2)} of the limit; ${CHANGED} changed: ${changed} told, in ${((performance.now() - again) / 1000).toFixed(2)} s. ${told(isKept)}`,
  );
  if (!isKept) process.exitCode = 1;
}
