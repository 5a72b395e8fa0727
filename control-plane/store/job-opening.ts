/**
 * Opens a job: the one place where races are settled. Everything is read and written in one transaction; all that stands
 * against it is told at once, and then nothing was written.
 */
import { changedPolicy } from '../../shared/domain/policy.ts';
import { type ErrorCode, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { ProtectedVmId } from '../../shared/ids.ts';
import { batches, inBatches } from './batches.ts';
import type { Query } from './connection.ts';
import type { NewJob } from './job-store.ts';
import { beginPairingEnd, pairingEndRefusals } from './pairing-end.ts';
import { toPairing } from './promises.ts';
import type { Refusal } from './refusal.ts';
import { noteForRules } from './rules.ts';
import type { VmSettings } from './vm-settings.ts';

/** Where several stand against it, the first of these is the code: it says best what to do. */
const PRECEDENCE: readonly ErrorCode[] = [
  'ERR_VM_BUSY',
  'ERR_OPERATION_NOT_ALLOWED',
  'ERR_CONFLICT',
  'ERR_NOT_PREPARED',
  'ERR_STALE_VERSION',
  'ERR_NOT_FOUND',
];

/** Looks whether it can be opened and writes nothing: that it is there already, why not, or null. */
export async function lookAtOrder(db: Query, order: NewJob): Promise<'existing' | FarshoreError | null> {
  const { id, vaultId, requestDigest } = order.job;
  const mine = db.selectFrom('jobs').select('request_digest').where('vault_id', '=', vaultId);
  const before = await mine.where('id', '=', id).executeTakeFirst();
  if (before?.request_digest === requestDigest) return 'existing';
  if (before !== undefined) return new FarshoreError('ERR_ID_REUSED', `job ${id} was asked for with another content`);
  return refusal([
    ...(await claimRefusals(db, order)),
    ...(await newVmRefusals(db, order)),
    ...(await pairingRefusals(db, order)),
    ...(await changeRefusals(db, order)),
    ...(await pairingEndRefusals(db, order)),
  ]);
}

export async function writeOrder(db: Query, order: NewJob): Promise<void> {
  await insertJob(db, order);
  await insertPairing(db, order);
  await changePairing(db, order);
  await beginPairingEnd(db, order);
  await claim(db, order);
  await insertVms(db, order);
  await noteForRules(db, order);
}

function refusal(refusals: readonly Refusal[]): FarshoreError | null {
  const code = PRECEDENCE.find((candidate) => refusals.some((refusal) => refusal.code === candidate));
  if (code === undefined) return null;
  const first = refusals.find((refusal) => refusal.code === code)?.message ?? '';
  const message = refusals.length === 1 ? first : `${first}; ${refusals.length} reasons in all`;
  return new FarshoreError(code, message, { problems: refusals.map((one) => ({ message: one.message })) });
}

async function claimRefusals(db: Query, { job, claims }: NewJob): Promise<Refusal[]> {
  const rows = await inBatches(claims, (some) =>
    db
      .selectFrom('protected_vms')
      .select(['id', 'name', 'phase', 'epoch', 'busy_with', 'drill'])
      .where('vault_id', '=', job.vaultId)
      .where(
        'id',
        'in',
        some.map((one) => one.id),
      )
      .execute(),
  );
  const found = new Map(rows.map((row) => [row.id, row]));
  return claims.flatMap(({ id, phases, epoch, drill }): Refusal[] => {
    const vm = found.get(id);
    if (vm === undefined) return [{ code: 'ERR_NOT_FOUND', message: `no protected VM ${id} in this vault` }];
    if (vm.busy_with !== null) return [{ code: 'ERR_VM_BUSY', message: `job ${vm.busy_with} works on ${vm.name}` }];
    if (!phases.includes(vm.phase)) {
      return [{ code: 'ERR_OPERATION_NOT_ALLOWED', message: `${vm.name} is ${vm.phase}; ${job.kind} starts from ${phases.join(' or ')}` }];
    }
    if (drill !== undefined && drill !== vm.drill) {
      const stands = vm.drill === null ? 'no test copy' : `the test copy of drill ${vm.drill}`;
      return [{ code: 'ERR_OPERATION_NOT_ALLOWED', message: `of ${vm.name} ${stands} is there` }];
    }
    if (epoch !== undefined && epoch <= vm.epoch) {
      return [{ code: 'ERR_STALE_VERSION', message: `${vm.name} has had a newer ownership decision (epoch ${vm.epoch})` }];
    }
    return [];
  });
}

async function newVmRefusals(db: Query, { job, newVms }: NewJob): Promise<Refusal[]> {
  const taken = await inBatches(newVms, (some) =>
    db
      .selectFrom('protected_vms')
      .innerJoin('pairings', (join) =>
        join.onRef('pairings.vault_id', '=', 'protected_vms.vault_id').onRef('pairings.id', '=', 'protected_vms.pairing_id'),
      )
      .select(['protected_vms.vm_id', 'pairings.name as pairing'])
      .where('protected_vms.vault_id', '=', job.vaultId)
      .where(
        'protected_vms.vm_id',
        'in',
        some.map((one) => one.vmId),
      )
      .execute(),
  );
  const pairingOf = new Map(taken.map(({ vm_id, pairing }) => [vm_id, pairing]));
  const seen = new Set<string>();
  return newVms.flatMap(({ vmId, name }): Refusal[] => {
    const pairing = pairingOf.get(vmId);
    if (pairing !== undefined)
      return [{ code: 'ERR_CONFLICT', message: `${name} (${vmId}) is protected already, in the pairing ${pairing}` }];
    if (seen.has(vmId)) return [{ code: 'ERR_CONFLICT', message: `${name} (${vmId}) is asked for twice` }];
    seen.add(vmId);
    return [];
  });
}

async function pairingRefusals(db: Query, { job, newPairing }: NewJob): Promise<Refusal[]> {
  if (newPairing === undefined) return [];
  const mine = db.selectFrom('pairings').select('id').where('vault_id', '=', job.vaultId).where('name', '=', newPairing.name);
  const same = await mine.where('state', '!=', 'failed').executeTakeFirst();
  return same === undefined ? [] : [{ code: 'ERR_CONFLICT', message: `a pairing called ${newPairing.name} exists` }];
}

async function insertJob(db: Query, { job, graph }: NewJob): Promise<void> {
  const { id, vaultId: vault_id, kind, target, startedBy, startedAt, requestDigest, input } = job;
  const asked = { started_by: startedBy, started_at: startedAt, request_digest: requestDigest, input: JSON.stringify(input ?? null) };
  await db
    .insertInto('jobs')
    .values({ id, vault_id, kind, target, ...asked, ended_at: null, state: 'inProgress', last_seq: 0 })
    .execute();
  await db
    .insertInto('job_graphs')
    .values({ vault_id, job_id: id, graph: JSON.stringify(graph) })
    .execute();
}

async function insertPairing(db: Query, { job, newPairing }: NewJob): Promise<void> {
  if (newPairing === undefined) return;
  const { id, name, primary, recovery, policy, networks, state, replicaAddresses, createdAt } = newPairing;
  await db
    .insertInto('pairings')
    .values({
      vault_id: job.vaultId,
      id,
      name,
      primary_site_id: primary.siteId,
      primary_cloud_id: primary.cloudId,
      recovery_site_id: recovery.siteId,
      recovery_cloud_id: recovery.cloudId,
      policy: JSON.stringify(policy),
      networks: JSON.stringify(networks),
      state,
      primary_address: replicaAddresses.primary,
      recovery_address: replicaAddresses.recovery,
      created_at: createdAt,
    })
    .execute();
}

/** Another change may have come in between: what that made of the pairing has to go with what is named here. */
async function changeRefusals(db: Query, order: NewJob): Promise<Refusal[]> {
  try {
    await changedPairing(db, order);
    return [];
  } catch (thrown) {
    const { message } = toFarshoreError(thrown);
    return [{ code: 'ERR_STALE_VERSION', message: `somebody else changed the pairing just now: ${message}` }];
  }
}

async function changedPairing(db: Query, { job, changedPairing: change }: NewJob) {
  if (change === undefined) return null;
  const row = await db
    .selectFrom('pairings')
    .selectAll()
    .where('vault_id', '=', job.vaultId)
    .where('id', '=', change.id)
    .executeTakeFirst();
  if (row === undefined) throw new FarshoreError('ERR_NOT_FOUND', `no pairing ${change.id} in this vault`);
  const { id, policy, networks } = toPairing(row);
  return { id, policy: changedPolicy(policy, change.policy), networks: change.networks ?? networks };
}

async function changePairing(db: Query, order: NewJob): Promise<void> {
  const changed = await changedPairing(db, order);
  if (changed === null) return;
  const mine = db.updateTable('pairings').where('vault_id', '=', order.job.vaultId).where('id', '=', changed.id);
  await mine.set({ policy: JSON.stringify(changed.policy), networks: JSON.stringify(changed.networks) }).execute();
}

async function claim(db: Query, { job, claims }: NewJob): Promise<void> {
  const byWhat = Map.groupBy(claims, ({ epoch, attempts }) => JSON.stringify([epoch, attempts]));
  for (const group of byWhat.values()) {
    const { epoch, attempts } = group[0] ?? {};
    const ids: readonly ProtectedVmId[] = [...new Set(group.map(({ id }) => id))];
    for (const some of batches(ids)) {
      const free = db
        .updateTable('protected_vms')
        .where('vault_id', '=', job.vaultId)
        .where('id', 'in', some)
        .where('busy_with', 'is', null);
      const done = await free
        .set({ busy_with: job.id, ...(epoch !== undefined && { epoch }), ...attemptColumns(attempts) })
        .executeTakeFirst();
      // Cannot happen where transactions run one by one; where they overlap, this is where the second one loses.
      if (done.numUpdatedRows !== BigInt(some.length)) throw new FarshoreError('ERR_VM_BUSY', 'another job took one of these VMs just now');
    }
  }
}

function attemptColumns({ policy, networks }: Partial<VmSettings> = {}) {
  return { ...(policy !== undefined && { attempted_policy: policy }), ...(networks !== undefined && { attempted_networks: networks }) };
}

async function insertVms(db: Query, { job, newVms }: NewJob): Promise<void> {
  for (const some of batches(newVms)) {
    const rows = some.map((vm) => ({
      vault_id: job.vaultId,
      id: vm.id,
      pairing_id: vm.pairingId,
      vm_id: vm.vmId,
      name: vm.name,
      phase: vm.phase,
      active_location: vm.activeLocation,
      replicates_from: vm.replicatesFrom,
      epoch: vm.epoch,
      busy_with: job.id,
      drill: null,
      applied_policy: vm.applied.policy,
      applied_networks: vm.applied.networks,
      attempted_policy: vm.attempted.policy,
      attempted_networks: vm.attempted.networks,
      created_at: vm.createdAt,
    }));
    await db.insertInto('protected_vms').values(rows).execute();
  }
}
