/**
 * The Hyper-V fabric: reading an inventory of 10,000 VMs as the module answers it (limit 2 s; a change of ten is ten), and what one call of
 * the fabric takes beside the bare cmdlet in the same PowerShell (limit 5 ms at the median), over the emulated Hyper-V.
 */
import { spawnSync } from 'node:child_process';
import { answers, viewOf } from '../../provider-agent/fabric/hyperv/hyperv-answers.ts';
import { cloudsOf, networkIdOf } from '../../provider-agent/fabric/hyperv/hyperv-config.ts';
import { Inventory } from '../../provider-agent/fabric/hyperv/inventory.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const VMS = 10_000;
const CHANGED = 10;
const LIMIT_SECONDS = 2;

const told = (isKept: boolean) => (isKept ? 'kept' : 'MISSED');

measureInventory();
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
