/**
 * Clean up a drill: what is left of its test copies is removed, and what a person says of it is kept. Where the copies are is
 * told by the graph of the drill and not by the pairing, which may have changed its direction since. It has no pivot: a copy that
 * cannot be removed now is told as a failure, the VM is free again for a real failover, and the drill can be cleaned up once more.
 */
import { copyStepOf } from '../../shared/domain/drill-graph.ts';
import { stepOf } from '../../shared/domain/plan-compiler.ts';
import { operationPhases } from '../../shared/domain/protected-vm.ts';
import type { Step } from '../../shared/engine/graph.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { JobId } from '../../shared/ids.ts';
import type { ArgsOf } from '../../shared/protocol/commands.ts';
import type { StepWork } from '../../shared/protocol/step-work.ts';
import type { Job } from '../store/job-store.ts';
import type { ProtectedVm } from '../store/promise-store.ts';
import { BEGIN_WITHIN_SECONDS, type Compile, type CompilePorts, refuseUnlessAllowed, refuseUnlessConnected } from './compile.ts';
import type { Actor } from './operations.ts';

export const compileCleanUpTest: Compile<'cleanUpTest'> = async (request, actor, ports) => {
  const { drill, vms } = await leftOf(request.drill, actor, ports);
  const graph = await ports.store.jobs.graph(actor.vaultId, drill.id);
  const copies = new Map(graph.steps.flatMap(({ id, work }) => (work?.kind === 'drill.copy' ? [[id, work] as const] : [])));
  const steps = vms.flatMap((vm): Step<StepWork>[] => {
    const copy = copies.get(copyStepOf(vm.id));
    return copy === undefined ? [] : [cleanUpStep(vm, copy, drill.id)];
  });
  await refuseUnlessConnected(
    steps.flatMap(({ work }) => (work ? [work.siteId] : [])),
    actor,
    ports,
  );
  return {
    target: drill.target,
    input: {
      drill: drill.id,
      outcome: request.outcome,
      notes: request.notes,
      vms: vms.map(({ id, name }) => ({ vm: id, name })),
    },
    graph: { steps },
    claims: vms.map(({ id }) => ({ id, phases: operationPhases.cleanUpTest, drill: drill.id })),
    newVms: [],
  };
};

/** The drill, and the VMs whose test copies it has left. Throws ERR_NOT_FOUND, ERR_OPERATION_NOT_ALLOWED, ERR_VM_BUSY. */
async function leftOf(id: JobId, actor: Actor, { store }: CompilePorts): Promise<{ drill: Job; vms: readonly ProtectedVm[] }> {
  const drill = await store.jobs.find(actor.vaultId, id);
  if (drill?.kind !== 'testFailover') throw new FarshoreError('ERR_NOT_FOUND', 'there is no such drill');
  const vms = (await store.promises.protectedVms(actor.vaultId)).filter((vm) => vm.drill === id);
  if (vms.length === 0) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'no test copy of this drill is there any more');
  refuseUnlessAllowed(vms, 'cleanUpTest', 'the drill cannot be cleaned up now');
  return { drill, vms };
}

function cleanUpStep({ id, name, epoch }: ProtectedVm, { siteId, args }: StepWork, drill: JobId): Step<StepWork> {
  // The copy step knew its VM when the drill was compiled.
  const { vm } = args as ArgsOf<'drill.copy'>;
  return {
    id: stepOf('clean-up', id),
    title: `remove the test copy of ${name}`,
    work: {
      siteId,
      epoch,
      beginWithinSeconds: BEGIN_WITHIN_SECONDS,
      kind: 'drill.cleanUp',
      args: { vm, drill },
      vm: { id, marks: { done: 'testCopyRemoved' } },
    },
    needs: [],
    after: [],
    scope: id,
    attempts: 3,
  };
}
