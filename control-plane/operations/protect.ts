/**
 * Protect VMs under a pairing: look on both sides, enable replication, give the replica its networks and addresses, send the
 * first copy. VMs stand or fall one by one; one that fails is undone and leaves nothing behind on either side.
 */
import { type FirstCopy, firstCopyNow, firstCopyProblems } from '../../shared/domain/first-copy.ts';
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError, type Problem } from '../../shared/errors.ts';
import { ProtectedVmId, type VmId, type VmRef } from '../../shared/ids.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { NewJob } from '../store/job-store.ts';
import type { Pairing } from '../store/promise-store.ts';
import { noSettings, wantedSettings } from '../store/vm-settings.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, type CompilePorts, refuseUnlessConnected } from './compile.ts';
import { untilCopied } from './copying.ts';
import { firstEpochs } from './first-epochs.ts';
import type { Actor } from './operations.ts';

export const compileProtect: Compile<'protect'> = async (request, actor, ports) => {
  const pairing = await ports.store.promises.findPairing(actor.vaultId, request.pairing);
  if (!pairing) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
  if (pairing.state !== 'paired' || pairing.replicaAddresses.recovery === null) {
    throw new FarshoreError('ERR_NOT_PREPARED', `pairing ${pairing.name} is not ready: ${pairing.state}`);
  }
  await refuseUnlessConnected([pairing.primary.siteId, pairing.recovery.siteId], actor, ports);
  const firstCopy = request.firstCopy ?? firstCopyNow;
  const names = await namesOf(request.vms, firstCopyProblems(firstCopy, ports.clock.now()), pairing, actor, ports);
  const epochOf = await firstEpochs(actor.vaultId, request.vms, ports.store);
  const newVms = [...names].map(([vmId, name]) => newVm({ vmId, name, epoch: epochOf(vmId) }, pairing, ports));
  const address = pairing.replicaAddresses.recovery;
  return {
    target: newVms.length === 1 ? (newVms[0]?.name ?? '') : `${newVms.length} VMs of ${pairing.name}`,
    input: { pairing: pairing.id, vms: newVms.map(({ id, name }) => ({ vm: id, name })), ...(request.firstCopy && { firstCopy }) },
    graph: { steps: newVms.flatMap((vm) => protectSteps(vm, pairing, address, firstCopy)) },
    claims: [],
    newVms,
  };
};

/** Throws ERR_VM_NOT_FOUND with every VM that the primary cloud has not reported; ERR_REQUEST_INVALID where the request has other mistakes too. */
async function namesOf(
  vmIds: readonly VmId[],
  mistakes: readonly Problem[],
  { primary }: Pairing,
  { vaultId }: Actor,
  { store }: CompilePorts,
): Promise<Map<VmId, string>> {
  const seen = await store.observations.vms(vaultId, { siteId: primary.siteId, cloudId: primary.cloudId, vmIds });
  const known = new Map(seen.map(({ report }) => [report.ref.vmId, report.name]));
  const missing = vmIds.filter((id) => !known.has(id)).map((id): Problem => ({ message: `the primary cloud has no VM ${id}` }));
  const problems = [...mistakes, ...missing];
  if (mistakes.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'the first copy cannot be made as asked for', { problems });
  if (missing.length > 0) throw new FarshoreError('ERR_VM_NOT_FOUND', 'not every VM asked for is in the primary cloud', { problems });
  return known;
}

type NewVm = NewJob['newVms'][number];

function newVm(vm: Pick<NewVm, 'vmId' | 'name' | 'epoch'>, pairing: Pairing, { clock, random }: CompilePorts): NewVm {
  return {
    id: ProtectedVmId.parse(random.uuid()),
    vaultId: pairing.vaultId,
    pairingId: pairing.id,
    ...vm,
    phase: 'enabling',
    activeLocation: 'primary',
    replicatesFrom: 'primary',
    applied: noSettings,
    attempted: wantedSettings(pairing),
    createdAt: clock.now(),
  };
}

function protectSteps(vm: NewVm, pairing: Pairing, address: string, firstCopy: FirstCopy): Step<StepWork>[] {
  const { id, vmId, name, epoch } = vm;
  const { primary, recovery } = pairing;
  const atPrimary: VmRef = { cloudId: primary.cloudId, vmId };
  const atRecovery: VmRef = { cloudId: recovery.cloudId, vmId };
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const [lookHere, lookThere] = [stepOf('admit/primary', id), stepOf('admit/recovery', id)];
  const { enable, configure, seed, copied, exported } = replicationSteps(vm, pairing, address, firstCopy);
  const step = { after: [], scope: id, attempts: 3 };
  return [
    {
      ...step,
      id: lookHere,
      title: `look at ${name} at the primary site`,
      work: {
        ...common,
        siteId: primary.siteId,
        kind: 'replication.admit',
        args: { vm: atPrimary, role: 'primary' },
        vm: { id, marks: { undone: 'protectionEnded', neverStarted: 'protectionEnded' } },
      },
      looksOnly: true,
      needs: [],
    },
    {
      ...step,
      id: lookThere,
      title: `look for ${name} at the recovery site`,
      work: { ...common, siteId: recovery.siteId, kind: 'replication.admit', args: { vm: atRecovery, role: 'recovery' } },
      // There was no VM of that id before, so what is there now came by us.
      undo: { ...common, siteId: recovery.siteId, kind: 'replica.remove', args: { vm: atRecovery, deleteReplica: true } },
      looksOnly: true,
      needs: [lookHere],
    },
    {
      ...enable,
      undo: { ...common, siteId: primary.siteId, kind: 'replication.disable', args: { vm: atPrimary } },
      needs: [lookThere],
    },
    { ...configure, needs: [enable.id], work: { ...configure.work, vm: { id, marks: { done: 'replicationEnabled' } } } },
    { ...seed, needs: [configure.id] },
    // Somebody carries it, so nobody waits for its arrival: taking it in is a job of its own.
    firstCopy.how === 'export' ? exported : copied,
  ];
}

/** How replication of a VM begins under a pairing: what a job puts before, between and behind them is its own. */
export function replicationSteps(
  { id, vmId, name, epoch }: Pick<NewVm, 'id' | 'vmId' | 'name' | 'epoch'>,
  pairing: Pairing,
  address: string,
  firstCopy: FirstCopy = firstCopyNow,
) {
  const { primary, recovery } = pairing;
  const atPrimary: VmRef = { cloudId: primary.cloudId, vmId };
  const common = { epoch, beginWithinSeconds: BEGIN_WITHIN_SECONDS };
  const step = { needs: [], after: [], scope: id, attempts: 3 };
  const target = { siteId: recovery.siteId, cloudId: recovery.cloudId, address };
  const seed = stepOf('seed', id);
  return {
    enable: {
      ...step,
      id: stepOf('enable', id),
      title: `enable replication of ${name}`,
      work: {
        ...common,
        siteId: primary.siteId,
        kind: 'replication.enable' as const,
        args: { vm: atPrimary, target, policy: pairing.policy },
      },
    },
    configure: {
      ...step,
      id: stepOf('configure', id),
      title: `set networks and addresses of ${name}`,
      work: {
        ...common,
        siteId: recovery.siteId,
        kind: 'replica.configure' as const,
        args: { vm: { cloudId: recovery.cloudId, vmId }, networks: [...pairing.networks] },
      },
    },
    seed: {
      ...step,
      id: seed,
      title: seedTitle(name, firstCopy),
      work: {
        ...common,
        siteId: primary.siteId,
        kind: 'replication.seed' as const,
        args: { vm: atPrimary, ...(firstCopy.how !== 'now' && { firstCopy }) },
      },
    },
    exported: {
      ...step,
      id: stepOf('exported', id),
      title: `wait until the first copy of ${name} stands in its folder`,
      work: { ...common, siteId: primary.siteId, kind: 'wait.exported' as const, args: { vm: atPrimary } },
      looksOnly: true,
      needs: [seed],
    },
    copied: untilCopied({
      vm: { id, name, epoch },
      source: { siteId: primary.siteId, ref: atPrimary },
      target: recovery,
      begunBy: seed,
      marks: { done: 'firstCopyArrived' },
      ...(firstCopy.how === 'at' && { beginsAt: firstCopy.at }),
    }),
  };
}

function seedTitle(name: string, firstCopy: FirstCopy): string {
  switch (firstCopy.how) {
    case 'now':
      return `send the first copy of ${name}`;
    case 'at':
      return `schedule the first copy of ${name} for ${firstCopy.at}`;
    case 'export':
      return `export the first copy of ${name} to ${firstCopy.folder}`;
  }
}
