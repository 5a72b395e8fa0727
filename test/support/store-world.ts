/** A real store in a temporary folder, and builders of what it holds: a vault, two sites, a pairing, protected VMs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Job, NewJob } from '../../control-plane/store/job-store.ts';
import type { Pairing } from '../../control-plane/store/promise-store.ts';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { Store } from '../../control-plane/store/store.ts';
import { noSettings } from '../../control-plane/store/vm-settings.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import type { Phase } from '../../shared/domain/protected-vm.ts';
import type { CloudId, JobId, PairingId, ProtectedVmId, SiteId, StepId, UserId, VaultId, VmId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';

export interface StoreWorld {
  readonly folder: string;
  readonly file: string;
  readonly store: Store;
  readonly vaultId: VaultId;
  readonly ownerId: UserId;
  readonly primary: SiteId;
  readonly recovery: SiteId;
  /** Closes the store and opens it again on the same file. */
  reopen(): Promise<Store>;
}

const uuid = () => systemRandom.uuid();
export const newJobId = () => uuid() as JobId;
export const newVmId = () => uuid() as VmId;

export async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'farshore-store-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function makeStoreWorld(t: TestContext): Promise<StoreWorld> {
  const folder = await makeFolder(t);
  const file = join(folder, 'control-plane.db');
  let store = await openStore({ file, defer: setImmediate });
  t.after(() => store.close());
  const [vaultId, ownerId] = [uuid() as VaultId, uuid() as UserId];
  const owner = { id: ownerId, vaultId, name: 'kim', role: 'owner', passwordHash: 'x', createdAt: 1 } as const;
  await store.accounts.createFirst({ id: vaultId, name: 'northgate', createdAt: 1 }, owner);
  const [primary, recovery] = [uuid() as SiteId, uuid() as SiteId];
  await store.sites.create({ id: primary, vaultId, name: 'reading', createdAt: 1 });
  await store.sites.create({ id: recovery, vaultId, name: 'slough', createdAt: 1 });
  const reopen = async () => {
    await store.close();
    store = await openStore({ file, defer: setImmediate });
    return store;
  };
  return {
    folder,
    file,
    vaultId,
    ownerId,
    primary,
    recovery,
    reopen,
    get store() {
      return store;
    },
  };
}

export function makePairing(world: StoreWorld, name = 'reading to slough'): Pairing {
  return {
    id: uuid() as PairingId,
    vaultId: world.vaultId,
    name,
    primary: { siteId: world.primary, cloudId: uuid() as CloudId },
    recovery: { siteId: world.recovery, cloudId: uuid() as CloudId },
    policy: defaultPolicy,
    networks: [],
    state: 'pairing',
    replicaAddresses: { primary: null, recovery: null },
    createdAt: 2,
  };
}

export function makeJob(world: StoreWorld, over: Partial<Job> = {}): NewJob['job'] {
  const asked = { target: 'shop', startedBy: 'kim', startedAt: 10, requestDigest: 'a'.repeat(64), input: { why: 'test' } };
  return { id: newJobId(), vaultId: world.vaultId, kind: 'protect', ...asked, ...over };
}

export const order = (job: NewJob['job'], rest: Partial<NewJob> = {}): NewJob => ({
  job,
  graph: { steps: [] },
  claims: [],
  newVms: [],
  ...rest,
});

export function makeVm(world: StoreWorld, pairing: Pairing, n: number, phase: Phase = 'enabling'): NewJob['newVms'][number] {
  return {
    id: uuid() as ProtectedVmId,
    vaultId: world.vaultId,
    pairingId: pairing.id,
    vmId: newVmId(),
    name: `vm-${String(n).padStart(5, '0')}`,
    phase,
    activeLocation: 'primary',
    replicatesFrom: 'primary',
    epoch: 0,
    applied: noSettings,
    attempted: noSettings,
    createdAt: 3,
  };
}

/** A pairing with VMs in it that no job holds. */
export async function protect(world: StoreWorld, count: number, phase: Phase = 'protected') {
  const pairing = makePairing(world);
  const vms = Array.from({ length: count }, (_, n) => makeVm(world, pairing, n, phase));
  const job = makeJob(world);
  await world.store.jobs.open(order(job, { newVms: vms, newPairing: pairing }));
  await world.store.jobs.append(world.vaultId, job.id, [{ type: 'ended', at: 20, state: 'succeeded' }], []);
  return { pairing, vms, job };
}

export const stepId = (text: string) => text as StepId;
