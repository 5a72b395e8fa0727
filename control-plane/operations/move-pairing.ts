/**
 * Move the VMs of a pairing to another one of the same primary cloud: they leave their old replica and are copied to the other
 * recovery cloud. In between nothing protects a VM, so they go one by one as their lines allow, and each stays under its old
 * pairing until it is replicating under the new one. The old copy is removed when the new one is complete, which holds no VM any
 * more. Where the old recovery site is gone, those removals stay open: they are the list of what is left there. The rules of the
 * old pairing go over to the new one with the job.
 */
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Pairing, ProtectedVm } from '../store/promise-store.ts';
import { wantedSettings } from '../store/vm-settings.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, LEFT_WITHIN_SECONDS, refuseUnlessConnected, refuseWhatIsStillEnded } from './compile.ts';
import { replicationSteps } from './protect.ts';

export const compileMovePairing: Compile<'movePairing'> = async (request, actor, ports) => {
  const { store } = ports;
  const [from, to] = await Promise.all(
    [request.pairing, request.to].map(async (id) => {
      const found = await store.promises.findPairing(actor.vaultId, id);
      if (!found) throw new FarshoreError('ERR_NOT_FOUND', `there is no pairing ${id}`);
      return found;
    }),
  );
  if (!from || !to) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
  const address = to.replicaAddresses.recovery;
  if (to.state !== 'paired' || address === null)
    throw new FarshoreError('ERR_NOT_PREPARED', `pairing ${to.name} is not ready: ${to.state}`);
  const vms = await store.promises.protectedVms(actor.vaultId, { pairingId: from.id });
  refuseUnlessMovable(from, to, vms);
  const needed = [to.primary.siteId, to.recovery.siteId, ...(request.forced ? [] : [from.recovery.siteId])];
  await refuseUnlessConnected(needed, actor, ports);
  await refuseWhatIsStillEnded(
    vms.map(({ vmId }) => vmId),
    actor,
    ports,
    to.recovery,
  );
  const removesWithin = ports.presence.isConnected(from.recovery.siteId) ? BEGIN_WITHIN_SECONDS : LEFT_WITHIN_SECONDS;
  const mover = await store.accounts.findUserByName(actor.name);
  return {
    target: `${from.name} to ${to.name}`,
    input: { pairing: from.id, to: to.id, vms: vms.map(({ id, name }) => ({ vm: id, name })), reason: request.reason },
    graph: { steps: vms.flatMap((vm) => moveSteps(vm, from, to, address, removesWithin)) },
    // What is left keeps its epoch: a site that knows a newer protection of the VM refuses it.
    claims: vms.map(({ id, nextEpoch }) => ({
      id,
      phases: ['protected', 'seeding'],
      epoch: nextEpoch,
      drill: null,
      attempts: wantedSettings(to),
    })),
    newVms: [],
    movedRules: { from: from.id, to: to.id, by: mover?.vaultId === actor.vaultId ? mover.id : null },
  };
};

/** Null: it runs and replicates at home. */
function whyNotMovable({ phase, replicatesFrom, activeLocation }: ProtectedVm): string | null {
  if (activeLocation === 'recovery') return 'it runs at the recovery site: fail it back first';
  if (replicatesFrom === 'primary') return phase === 'protected' || phase === 'seeding' ? null : `it is ${phase}`;
  if (phase === 'failedOver') return 'its failback is not committed: farshore commit first';
  if (phase === 'committed') return 'it was failed back and nothing protects it: farshore reverse-replication first';
  return `it is ${phase}`;
}

/** Throws ERR_OPERATION_NOT_ALLOWED with everything that stands against it. */
function refuseUnlessMovable(from: Pairing, to: Pairing, vms: readonly ProtectedVm[]): void {
  const isSame = (a: Pairing['primary'], b: Pairing['primary']) => a.siteId === b.siteId && a.cloudId === b.cloudId;
  const problems: Problem[] = [];
  if (!isSame(from.primary, to.primary)) problems.push({ field: 'to', message: `${to.name} is of another primary cloud` });
  if (isSame(from.recovery, to.recovery)) problems.push({ field: 'to', message: `${to.name} leads to the same recovery cloud` });
  for (const vm of vms) {
    const message = whyNotMovable(vm);
    if (message !== null) problems.push({ field: vm.name, message });
  }
  if (problems.length > 0) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'the pairing cannot be moved there now', { problems });
}

function moveSteps(vm: ProtectedVm, from: Pairing, to: Pairing, address: string, removesWithin: number): Step<StepWork>[] {
  const { id, vmId, name } = vm;
  const epoch = vm.nextEpoch;
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { needs: [], after: [], scope: id, attempts: 3 };
  const [look, leave] = [stepOf('look', id), stepOf('leave', id)];
  const { enable, configure, seed, copied } = replicationSteps({ ...vm, epoch }, to, address);
  const belongs = { id, marks: { done: 'replicationEnabled', skipped: 'protectionEnded' }, pairing: to.id } as const;
  return [
    {
      ...step,
      id: look,
      title: `look for ${name} at its new recovery site`,
      work: {
        ...common,
        siteId: to.recovery.siteId,
        kind: 'replication.admit',
        args: { vm: { cloudId: to.recovery.cloudId, vmId }, role: 'recovery' },
      },
      looksOnly: true,
    },
    {
      ...step,
      id: leave,
      title: `end replication of ${name} with its old recovery site`,
      work: {
        ...common,
        siteId: from.primary.siteId,
        kind: 'replication.disable',
        args: { vm: { cloudId: from.primary.cloudId, vmId } },
        vm: { id, marks: { started: 'moveStarted', skipped: vm.phase === 'seeding' ? 'replicationEnabled' : 'moveGivenUp' } },
      },
      pivot: true,
      skipEndsScope: true,
      needs: [look],
    },
    {
      ...enable,
      pivot: true,
      skipEndsScope: true,
      needs: [leave],
      work: { ...enable.work, vm: { id, marks: { skipped: 'protectionEnded' } } },
    },
    { ...configure, pivot: true, skipEndsScope: true, needs: [enable.id], work: { ...configure.work, vm: belongs } },
    { ...seed, pivot: true, needs: [configure.id] },
    { ...copied, work: { ...copied.work, vm: { id, marks: { done: 'firstCopyArrived' }, isLast: true } } },
    {
      ...step,
      id: stepOf('remove', id),
      title: `remove ${name} at its old recovery site`,
      work: {
        epoch: vm.epoch,
        beginWithinSeconds: removesWithin,
        siteId: from.recovery.siteId,
        kind: 'replica.remove',
        args: { vm: { cloudId: from.recovery.cloudId, vmId }, deleteReplica: from.policy.deleteReplicaOnUnprotect },
      },
      pivot: true,
      // The old copy is the only one until then.
      needs: [copied.id],
    },
  ];
}
