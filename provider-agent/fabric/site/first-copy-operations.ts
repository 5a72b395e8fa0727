/**
 * The first copy: over the network, at once or later, or in a folder that people carry to the other site. What is taken in from a folder
 * must be of the replica as it is now: one that an earlier protection exported is refused.
 */
import { FIRST_COPY_DAYS_MOST, type FirstCopy } from '../../../shared/domain/first-copy.ts';
import type { VmRef } from '../../../shared/ids.ts';
import { FabricError } from '../fabric-error.ts';
import type { Operation } from './operation.ts';
import { cmdletClass, failed, wrongState } from './refusals.ts';
import type { SentPoint } from './replication-frames.ts';
import type { Work } from './task-runner.ts';
import { diskBytes, type VmRecord, writtenBytesAt } from './vm-record.ts';
import type { World } from './world.ts';

export function startInitialReplicationWork(world: World, ref: VmRef, firstCopy: FirstCopy): Work<void> {
  let exported: SentPoint | null = null;
  const begin = () => {
    const vm = world.need(ref, 'startInitialReplication');
    const event = firstCopy.how === 'export' ? ('initialReplicationExported' as const) : ('initialReplicationStarted' as const);
    const replication = world.advance(vm, event, 'startInitialReplication', 'a primary that is ready for initial replication');
    if (replication.primary === null) throw wrongState('startInitialReplication', vm, 'a primary');
    if (firstCopy.how === 'at') refuseLaterThanAllowed(world, firstCopy.at);
    return { vm, replication, primary: replication.primary };
  };
  return {
    operation: 'startInitialReplication',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      if (firstCopy.how !== 'export') return;
      const { vm, primary } = begin();
      const { machinery } = world;
      if (machinery.exportFirstCopy === undefined) throw notCarried('startInitialReplication');
      exported = pointNow(world, vm, primary.target.cloudId);
      await machinery.exportFirstCopy(vm, exported, firstCopy.folder);
    },
    effect() {
      const { vm, replication, primary } = begin();
      const now = world.clock.now();
      if (firstCopy.how === 'at') {
        const at = Date.parse(firstCopy.at);
        const waits = { ...vm.replication, primary: { ...primary, firstCopyAt: at } };
        return world.vms.put({ ...vm, replication: waits, dueAt: at });
      }
      const confirmedBytes = exported?.writtenBytes ?? primary.confirmedBytes;
      const sent = { ...primary, confirmedBytes, firstCopyAt: null };
      const dueAt = now + (exported === null ? copyMs(world, vm) : world.definition.replication.retryAfterMs);
      world.vms.put({ ...vm, replication: { ...replication, primary: sent }, dueAt });
    },
    lie: () => undefined,
  };
}

/** How long the line is pretended to need for what the first copy has to carry. */
export function copyMs(world: World, vm: VmRecord): number {
  return world.machinery.copyMs(vm.replication.primary?.firstCopyBytes ?? diskBytes(vm));
}

export function importInitialReplicationWork(world: World, ref: VmRef, folder: string): Work<void> {
  let point: SentPoint | null = null;
  const begin = () => {
    const vm = world.need(ref, 'importInitialReplication');
    const needed = 'a replica that waits for its first copy';
    const replication = world.advance(vm, 'firstPointReceived', 'importInitialReplication', needed);
    const { replica, policy } = replication;
    if (replica === null || policy === null) throw wrongState('importInitialReplication', vm, needed);
    return { vm, replication, replica, policy };
  };
  return {
    operation: 'importInitialReplication',
    subject: ref,
    check: () => void begin(),
    async prepare() {
      const { machinery } = world;
      if (machinery.importFirstCopy === undefined) throw notCarried('importInitialReplication');
      point = await machinery.importFirstCopy(begin().vm, folder);
    },
    effect() {
      const { vm, replication, replica, policy } = begin();
      if (point === null) throw notCarried('importInitialReplication');
      const { id, at, kind, writtenBytes } = point;
      const now = world.clock.now();
      world.points.add(ref, { id, at, kind, writtenBytes }, policy);
      const received = { ...replication, lastPointAt: at, replica: { ...replica, lastReceivedAt: now } };
      world.vms.put({ ...vm, written: { bytes: writtenBytes, at: now }, replication: received, dueAt: now });
    },
    lie: () => undefined,
  };
}

const notCarried = (operation: Operation) =>
  failed(
    'ERR_FIRST_COPY_FOLDER',
    operation,
    'This site cannot export first copies to a folder, nor take them in: choose a copy over the network.',
  );

function refuseLaterThanAllowed(world: World, at: string): void {
  if (Date.parse(at) <= world.clock.now() + FIRST_COPY_DAYS_MOST * 86_400_000) return;
  const message = `The initial replication can be scheduled at most ${FIRST_COPY_DAYS_MOST} days ahead; ${at} is later.`;
  throw new FabricError('ERR_FABRIC_FAILED', 'InvalidParameter', cmdletClass('startInitialReplication'), message);
}

function pointNow(world: World, vm: VmRecord, cloudId: SentPoint['cloudId']): SentPoint {
  const at = Math.floor(world.clock.now());
  const what = { kind: 'crashConsistent', isFirst: true, isPrepared: false, cloudId, vmId: vm.ref.vmId } as const;
  return { ...what, id: world.random.uuid(), at, writtenBytes: writtenBytesAt(vm, at) };
}
