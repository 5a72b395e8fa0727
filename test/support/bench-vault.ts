/** A vault with two sites, a paired pair of clouds and protected VMs, written straight through the store: where a benchmark begins. */
import type { Store } from '../../control-plane/store/store.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { CloudId, JobId, PairingId, PlanId, ProtectedVmId, SiteId, UserId, VaultId, VmId } from '../../shared/ids.ts';
import type { Random } from '../../shared/ports.ts';

export interface BenchVault {
  readonly vaultId: VaultId;
  readonly planId: PlanId;
  readonly primarySite: SiteId;
  readonly recoverySite: SiteId;
}

/** `count` VMs in groups of `groupSize`, all protected. */
export async function makeProtectedVault(store: Store, random: Random, count: number, groupSize: number): Promise<BenchVault> {
  const now = 1_764_000_000_000;
  const vaultId = VaultId.parse(random.uuid());
  const userId = UserId.parse(random.uuid());
  await store.accounts.createFirst(
    { id: vaultId, name: 'bench', createdAt: now },
    { id: userId, vaultId, name: 'bench', role: 'owner', passwordHash: '', createdAt: now },
  );
  const [primarySite, recoverySite] = [SiteId.parse(random.uuid()), SiteId.parse(random.uuid())];
  await store.sites.create({ id: primarySite, vaultId, name: 'reading', createdAt: now });
  await store.sites.create({ id: recoverySite, vaultId, name: 'slough', createdAt: now });
  const pairingId = PairingId.parse(random.uuid());
  const names = Array.from({ length: count }, (_, index) => `vm-${String(index).padStart(5, '0')}`);
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
      createdAt: now,
    })),
  });
  await store.jobs.append(vaultId, jobId, [{ type: 'ended', at: now, state: 'succeeded' }], []);
  const planId = PlanId.parse(random.uuid());
  const groups = Array.from({ length: Math.ceil(count / groupSize) }, (_, index) => ({
    name: `group ${index + 1}`,
    members: names.slice(index * groupSize, (index + 1) * groupSize).map((vm) => ({ vm })),
  }));
  await store.wishes.savePlan({
    id: planId,
    vaultId,
    name: 'everything',
    document: { name: 'everything', guestAnswersWithinSeconds: 0, groups },
    createdAt: now,
    createdBy: userId,
  });
  return { vaultId, planId, primarySite, recoverySite };
}
