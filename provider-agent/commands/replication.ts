/** Handlers of replication.* and replica.*: replication of one VM begins, is seeded, and ends on either side. */
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { ReplicationState, VmView } from '../fabric/fabric.ts';
import { removeTestCopy } from './drill.ts';
import type { Handlers } from './handlers.ts';
import { findExisting, reach, wrongState } from './reach.ts';

type ReplicationKind =
  | 'replication.admit'
  | 'replication.enable'
  | 'replica.configure'
  | 'replication.setPolicy'
  | 'replication.seed'
  | 'replica.importFirstCopy'
  | 'replication.disable'
  | 'replica.remove';

const isDisabled = (vm: VmView | null) => vm === null || vm.replication.state === 'disabled';

const onTheWay: readonly ReplicationState[] = [
  'initialReplicationInProgress',
  'waitingForInitialReplication',
  'replicating',
  'resynchronizing',
];

/** Its first copy begins by itself, at a moment that was set. */
const isScheduled = ({ replication: { state, firstCopyAt } }: VmView) =>
  state === 'readyForInitialReplication' && firstCopyAt !== undefined;

/** Nothing has to be done for it to replicate, or it does. */
export const comesToReplicate = (vm: VmView): boolean => onTheWay.includes(vm.replication.state) || isScheduled(vm);

export const replicationHandlers: Pick<Handlers, ReplicationKind> = {
  async 'replication.admit'({ vm: ref, role }, context) {
    if (role === 'primary') {
      const vm = await findExisting(ref, context);
      if (!isDisabled(vm)) throw wrongState(vm, 'only a VM that does not replicate yet is protected');
    } else {
      const vm = await context.fabric.findVm(ref);
      if (vm !== null)
        throw new FarshoreError(
          'ERR_REPLICA_KEPT',
          `the recovery cloud holds a VM of that id: ${vm.power}, its replication ${vm.replication.state}`,
        );
    }
    return {};
  },

  async 'replication.enable'({ vm: ref, target, policy }, context) {
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.mode === 'primary' && vm.replication.state !== 'disabled',
        async act(vm) {
          if (!isDisabled(vm)) throw wrongState(vm, 'replication is enabled on a VM that does not replicate');
          context.progress('preparing');
          await context.fabric.enableReplication(ref, target, policy, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replica.configure'({ vm: ref, networks }, context) {
    const vm = await findExisting(ref, context);
    if (vm.replication.mode !== 'replica') throw wrongState(vm, 'networks are set on a replica');
    // What is set cannot be looked at, and setting the same again changes nothing.
    await context.fabric.configureReplica(ref, networks, context.act);
    return {};
  },

  async 'replication.setPolicy'({ vm: ref, policy }, context) {
    const vm = await findExisting(ref, context);
    if (vm.replication.mode !== 'primary') throw wrongState(vm, 'the policy is set on a primary');
    // As with networks: setting the same again changes nothing.
    await context.fabric.setReplicationPolicy(ref, policy, context.act);
    return {};
  },

  async 'replication.seed'({ vm: ref, firstCopy = firstCopyNow }, context) {
    await reach(
      {
        ref,
        isReached: (vm) => vm !== null && comesToReplicate(vm),
        async act(vm) {
          if (vm.replication.state !== 'readyForInitialReplication')
            throw wrongState(vm, 'the initial replication starts from readyForInitialReplication');
          // An agent that was away may hear of it when its moment has passed.
          const hasPassed = firstCopy.how === 'at' && Date.parse(firstCopy.at) <= context.clock.now();
          await context.fabric.startInitialReplication(ref, hasPassed ? firstCopyNow : firstCopy, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replica.importFirstCopy'({ vm: ref, folder }, context) {
    await reach(
      {
        ref,
        isReached: (vm) => vm?.replication.mode === 'replica' && vm.replication.state === 'replicating',
        async act(vm) {
          if (vm.replication.mode !== 'replica' || vm.replication.state !== 'waitingForInitialReplication')
            throw wrongState(vm, 'a first copy is taken in by a replica that waits for it');
          context.progress('copying');
          await context.fabric.importInitialReplication(ref, folder, context.act);
        },
      },
      context,
    );
    return {};
  },

  async 'replication.disable'({ vm: ref }, context) {
    await reach({ ref, isReached: isDisabled, act: () => context.fabric.removeReplication(ref, context.act) }, context);
    return {};
  },

  async 'replica.remove'({ vm: ref, deleteReplica }, context) {
    const found = await context.fabric.findVm(ref);
    if (found === null) return {};
    if (found.replication.mode === 'primary') throw wrongState(found, 'this VM is the primary, not a replica');
    if (deleteReplica) refuseToDeleteProduction(found);
    context.progress('cleaningUp');
    // A control plane that was put back to an earlier state may not know of a drill: its copy must not outlive the replica.
    await removeTestCopy(ref, undefined, context);
    await reach({ ref, isReached: isDisabled, act: () => context.fabric.removeReplication(ref, context.act) }, context);
    if (deleteReplica) {
      await reach({ ref, isReached: (vm) => vm === null, act: () => context.fabric.deleteVm(ref, context.act) }, context);
    }
    return {};
  },
};

/**
 * A replica that was failed over may hold writes that exist nowhere else. Once its replication is removed only the
 * epoch still tells, which is written to a VM before its first start here.
 */
function refuseToDeleteProduction(vm: VmView): void {
  const wasFailedOver = vm.replication.state === 'failedOver' || vm.replication.state === 'failedOverWaitingCompletion';
  const wasActivated = vm.replication.mode === 'none' && vm.epoch > 0;
  if (vm.power !== 'off' || wasFailedOver || wasActivated)
    throw wrongState(vm, 'only a replica that is off and was not failed over is deleted');
}
