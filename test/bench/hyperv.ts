/**
 * The Hyper-V fabric: reading an inventory of 10,000 VMs as the module answers it, from plain hosts and from SCVMM (limit 2 s; a change of ten is ten), and what one call of
 * the fabric takes beside the bare cmdlet in the same PowerShell (limit 5 ms at the median), over the emulated Hyper-V.
 */
import { spawnSync } from 'node:child_process';
import type { InventoryChanges } from '../../provider-agent/fabric/fabric.ts';
import { cloudsOf, HyperVConfig, networkIdOf } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { InventoryReader } from '../../provider-agent/fabric/hyperv/inventory-reader.ts';
import { ModuleCalls } from '../../provider-agent/fabric/hyperv/module-calls.ts';
import type { PowerShellCall, PowerShellHost } from '../../provider-agent/fabric/hyperv/powershell-host.ts';
import { ScvmmInventory } from '../../provider-agent/fabric/hyperv/scvmm-inventory.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const VMS = 10_000;
const CHANGED = 10;
const HOSTS = 100;
const LIMIT_SECONDS = 2;

const told = (isKept: boolean) => (isKept ? 'kept' : 'MISSED');
const hostOf = (index: number) => `hv${index % HOSTS}.bench.example`;

await measurePlain();
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
    stamp: `${power}-${index}`.padEnd(16, '-'),
    measure: {
      since: 1_790_000_000_000,
      cycles: 288,
      missed: 0,
      errors: 0,
      averageBytes: 4_000_000 + index,
      maximumBytes: 90_000_000,
      pendingBytes: 1_000_000,
      averageLatencyMs: 2_000,
      maximumLatencyMs: 9_000,
    },
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
      firstCopyAt: null,
      failoverType: '',
    },
  };
}

/** The hosts are asked each time, and tell only what differs from what the agent knows. */
async function measurePlain(): Promise<void> {
  const hosts = Array.from({ length: HOSTS }, (_, i) => hostOf(i));
  const config = { kind: 'hyperv', name: 'bench', clouds: [{ name: 'Gold', hosts, replicaStorage: 'D:' }] } as const;
  const clouds = cloudsOf(HyperVConfig.parse(config));
  const textsOf = (changed: number) =>
    hosts.map((_, host) =>
      Array.from({ length: VMS / HOSTS }, (__, i) => {
        const index = i * HOSTS + host;
        const one = machine(index, index < changed ? 'Off' : 'Running');
        return { stamp: one.stamp, text: JSON.stringify(one) };
      }),
    );
  let there = textsOf(0);
  let bytes = 0;
  const call = async ({ arguments: { HostName, Known } }: PowerShellCall): Promise<unknown> => {
    const all = there[hosts.indexOf(String(HostName))] ?? [];
    const gone = new Set(String(Known).split(' '));
    const news = all.filter(({ stamp }) => !gone.delete(stamp)).map(({ text }) => text);
    const answer = `{"switches":[],"vms":[${news.join(',')}],"gone":"${[...gone].join(' ')}"}`;
    bytes += answer.length;
    return JSON.parse(answer);
  };
  const host = { call } as unknown as PowerShellHost;
  const calls = new ModuleCalls({ host, clouds: async () => clouds, scvmm: null, limitMs: 1, perHost: 1, perCluster: 1 });
  const networkIds = new Map(['LAN', 'Backup'].map((name) => [name, networkIdOf('bench', name)] as const));
  const networkId = (name: string) => networkIds.get(name) ?? networkIdOf('bench', name);
  const reader = new InventoryReader({ calls, clouds, networkId, instanceId: 'bench' });
  const full = await timed(() => reader.read(null));
  const fullBytes = bytes;
  there = textsOf(CHANGED);
  bytes = 0;
  const change = await timed(() => reader.read(full.read.cursor));
  judge(`${VMS} VMs of plain hosts`, full, change);
  console.log(`  the hosts told ${(fullBytes / 1e6).toFixed(1)} MB, and ${(bytes / 1e3).toFixed(1)} kB for the change`);
}

interface Timed {
  readonly read: InventoryChanges;
  readonly seconds: number;
}

async function timed(reading: () => Promise<InventoryChanges>): Promise<Timed> {
  const begun = performance.now();
  const read = await reading();
  return { read, seconds: (performance.now() - begun) / 1000 };
}

function judge(what: string, full: Timed, change: Timed): void {
  const changed = change.read.vms.length;
  const isKept = full.seconds <= LIMIT_SECONDS && full.read.vms.length === VMS && changed === CHANGED;
  console.log(
    `${what} on ${HOSTS} hosts: ${full.seconds.toFixed(2)} s, ${(full.seconds / LIMIT_SECONDS).toFixed(2)} of the limit; ${CHANGED} changed: ${changed} told, in ${change.seconds.toFixed(3)} s. ${told(isKept)}`,
  );
  if (!isKept) process.exitCode = 1;
}

/** Half of the VMs replicate: their hosts are asked each time and tell what differs, as SCVMM does. */
async function measureScvmm(): Promise<void> {
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
        JSON.stringify({
          replications: own.map(({ id, mode, state, health, stamp, measure, replication }) => ({
            id,
            mode,
            state,
            health,
            stamp,
            measure,
            replication,
          })),
          gone: '',
        }),
      ];
    }),
  );
  const answer = async ({ function: name, arguments: { Since, HostName, Known } }: PowerShellCall): Promise<unknown> => {
    if (name === 'Get-FarshoreReplication')
      return JSON.parse(Known === '' ? (replications.get(String(HostName)) ?? '') : '{"replications":[],"gone":""}');
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
  const full = await timed(() => inventory.read(null));
  judge(`${VMS} VMs of SCVMM`, full, await timed(() => inventory.read(full.read.cursor)));
}
