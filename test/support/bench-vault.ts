/** A vault with two sites, a paired pair of clouds and protected VMs, written straight through the store: where a benchmark begins. */
import Database from 'better-sqlite3';
import type { Store } from '../../control-plane/store/store.ts';
import { noSettings, wantedSettings } from '../../control-plane/store/vm-settings.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import type { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { CloudId, JobId, PairingId, PlanId, ProtectedVmId, SiteId, UserId, VaultId, VmId } from '../../shared/ids.ts';
import type { Random } from '../../shared/ports.ts';

export interface BenchVault {
  readonly vaultId: VaultId;
  readonly planIds: readonly PlanId[];
  readonly primarySite: SiteId;
  readonly recoverySite: SiteId;
}

/** Of each plan; every plan has VMs of its own. */
export interface BenchPlan {
  readonly vms: number;
  readonly groupSize: number;
  /** Fours in which each depends on the two before it, and everyone on one of the group before: two edges for each VM, nearly. */
  readonly hasEdges?: boolean;
  readonly plans?: number;
}

/** A plan whose members are called `vm-00000` and on, from `first`. */
export function benchPlan(name: string, { vms, groupSize, hasEdges = false }: BenchPlan, first = 0): RecoveryPlan {
  const edgesOf = (index: number) => {
    const inFour = [index - 1, index - 2].filter((other) => other >= index - (index % 4));
    return index < groupSize ? inFour : [...inFour, index - groupSize];
  };
  const members = Array.from({ length: vms }, (_, index) => ({
    vm: vmName(first + index),
    ...(hasEdges && { dependsOn: edgesOf(index).map((other) => vmName(first + other)) }),
  }));
  const groups = Array.from({ length: Math.ceil(vms / groupSize) }, (_, index) => ({
    name: `group ${index + 1}`,
    members: members.slice(index * groupSize, (index + 1) * groupSize),
  }));
  return { name, guestAnswersWithinSeconds: 0, groups };
}

export const vmName = (index: number) => `vm-${String(index).padStart(5, '0')}`;

/** All VMs are protected. */
export async function makeProtectedVault(store: Store, file: string, random: Random, plan: BenchPlan): Promise<BenchVault> {
  const now = 1_764_000_000_000;
  const vaultId = VaultId.parse(random.uuid());
  const userId = UserId.parse(random.uuid());
  await addVault(store, file, vaultId, userId, now);
  const [primarySite, recoverySite] = [SiteId.parse(random.uuid()), SiteId.parse(random.uuid())];
  await store.sites.create({ id: primarySite, vaultId, name: 'reading', createdAt: now });
  await store.sites.create({ id: recoverySite, vaultId, name: 'slough', createdAt: now });
  const pairingId = PairingId.parse(random.uuid());
  const plans = plan.plans ?? 1;
  const names = Array.from({ length: plans * plan.vms }, (_, index) => vmName(index));
  const jobId = JobId.parse(random.uuid());
  await store.jobs.open({
    job: {
      id: jobId,
      vaultId,
      kind: 'protect',
      target: 'bench',
      startedBy: 'bench',
      startedAt: now,
      requestDigest: '0'.repeat(64),
      input: {},
    },
    graph: { steps: [] },
    claims: [],
    newPairing: {
      id: pairingId,
      vaultId,
      name: 'bench',
      policy: defaultPolicy,
      networks: [],
      state: 'paired',
      replicaAddresses: { primary: '127.0.0.1:1', recovery: '127.0.0.1:1' },
      createdAt: now,
      primary: { siteId: primarySite, cloudId: CloudId.parse(random.uuid()) },
      recovery: { siteId: recoverySite, cloudId: CloudId.parse(random.uuid()) },
    },
    newVms: names.map((name) => ({
      id: ProtectedVmId.parse(random.uuid()),
      vaultId,
      pairingId,
      vmId: VmId.parse(random.uuid()),
      name,
      phase: 'protected',
      activeLocation: 'primary',
      replicatesFrom: 'primary',
      epoch: 0,
      applied: wantedSettings({ policy: defaultPolicy, networks: [] }),
      attempted: noSettings,
      createdAt: now,
    })),
  });
  await store.jobs.append(vaultId, jobId, [{ type: 'ended', at: now, state: 'succeeded' }], []);
  const planIds: PlanId[] = [];
  for (let index = 0; index < plans; index++) {
    const name = `everything ${index + 1}`;
    const id = PlanId.parse(random.uuid());
    const document = benchPlan(name, plan, index * plan.vms);
    await store.wishes.savePlan({ id, vaultId, name, document, createdAt: now, createdBy: userId });
    planIds.push(id);
  }
  return { vaultId, planIds, primarySite, recoverySite };
}

/** The store makes the first one only, as a set-up does; others come from outside. */
async function addVault(store: Store, file: string, id: VaultId, userId: UserId, createdAt: number): Promise<void> {
  const owner = { id: userId, vaultId: id, name: `owner of ${id}`, role: 'owner' as const, passwordHash: '', createdAt };
  if (await store.accounts.createFirst({ id, name: 'bench', createdAt }, owner)) return;
  const database = new Database(file);
  database.prepare('insert into vaults (id, name, created_at) values (?, ?, ?)').run(id, 'bench', createdAt);
  database.close();
  await store.accounts.addUser(owner);
}
