/**
 * What every driver of the fabric port must do, told over the port alone. A driver's test hands in a pair (two sites,
 * or one site with two clouds) and gets these sentences; whatever a driver does beyond them is its own affair.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { settingsOf } from '../../shared/domain/policy.ts';
import { JobId, type NetworkId, type VmRef } from '../../shared/ids.ts';
import { type ContractPair, isAtMost, pairingId, policy, walkOf } from './contract-walk.ts';
import { describeReversalContract } from './fabric-contract-reversal.ts';

export function describeFabricContract(name: string, makePair: () => Promise<ContractPair>): void {
  describe(`the fabric port, ${name}`, () => {
    let pair: ContractPair;
    const { act, atRecovery, viewOf, measureAt, prepare, enable, replicate, unchangedBy } = walkOf(() => pair);

    beforeEach(async () => {
      pair = await makePair();
    });
    afterEach(() => pair.close());

    it('reads everything first and then only what changed', async () => {
      const first = await pair.primary.fabric.readInventory(null);
      assert.equal(first.full, true);
      assert.ok(first.clouds.some(({ id }) => id === pair.primary.cloudId));
      assert.ok(first.networks.some(({ id }) => id === pair.primary.networkId));
      for (const { vmId } of pair.vms) assert.ok(first.vms.some(({ ref }) => ref.vmId === vmId));

      const [ref] = pair.vms;
      await pair.primary.fabric.writeEpoch(ref, 4, act());
      const next = await pair.primary.fabric.readInventory(first.cursor);
      assert.equal(next.full, false);
      assert.deepEqual(next.vms, [await viewOf(pair.primary, ref)]);
      assert.deepEqual((await pair.primary.fabric.readInventory(next.cursor)).vms, []);
    });

    it('reads everything again for a cursor it does not know', async () => {
      assert.equal((await pair.primary.fabric.readInventory('of another time')).full, true);
    });

    it('keeps the highest epoch that was written to a VM', async () => {
      const [ref] = pair.vms;
      await pair.primary.fabric.writeEpoch(ref, 7, act());
      await pair.primary.fabric.writeEpoch(ref, 3, act());
      assert.equal((await viewOf(pair.primary, ref)).epoch, 7);
    });

    it('prepares hosts twice like once', async () => {
      const first = await prepare();
      assert.deepEqual(await prepare(), first);
    });

    it('makes the replica off and unconnected when replication is enabled', async () => {
      const [ref] = pair.vms;
      const replica = await enable(ref);
      const primary = await viewOf(pair.primary, ref);
      assert.deepEqual(
        [primary.replication.mode, primary.replication.state, primary.replication.health],
        ['primary', 'readyForInitialReplication', 'warning'],
      );
      assert.equal(primary.power, 'running');
      const made = await viewOf(pair.recovery, replica);
      assert.deepEqual(
        [made.power, made.networkIds.length, made.replication.mode, made.replication.state],
        ['off', 0, 'replica', 'waitingForInitialReplication'],
      );
      assert.equal(made.name, primary.name);
    });

    it('tells of each end how it replicates, and nothing of a VM that does not', async () => {
      const [ref, other] = pair.vms;
      const chosen = { ...policy, additionalRecoveryPoints: 6, applicationConsistentHours: 4, compression: false };
      await pair.primary.fabric.enableReplication(ref, await prepare(), chosen, act());
      assert.deepEqual((await viewOf(pair.primary, ref)).replication.settings, settingsOf(chosen));
      assert.deepEqual((await viewOf(pair.recovery, atRecovery(ref))).replication.settings, settingsOf(chosen));
      assert.equal((await viewOf(pair.primary, other)).replication.settings, null);
      await pair.primary.fabric.removeReplication(ref, act());
      assert.equal((await viewOf(pair.primary, ref)).replication.settings, null);
    });

    it('tells in the inventory how the cycles of a primary went, and of no other VM', async () => {
      const [ref, other] = pair.vms;
      const replica = await replicate(ref);
      const measure = await measureAt(pair.primary, ref);
      assert.deepEqual([measure?.missed, measure?.errors], [0, 0]);
      assert.ok(measure && isAtMost(measure.averageBytes, measure.maximumBytes));
      assert.equal(measure.averageLatencyMs === null, measure.cycles === 0, 'where there was a cycle it took its time');
      assert.equal(await measureAt(pair.primary, other), undefined);
      assert.equal(await measureAt(pair.recovery, replica), undefined);
    });

    it('refuses to replicate to a site that the hosts are not prepared for', async () => {
      const [ref] = pair.vms;
      const target = { siteId: pair.recovery.siteId, cloudId: pair.recovery.cloudId, address: '127.0.0.1:9' };
      await unchangedBy(pair.primary, ref, () => pair.primary.fabric.enableReplication(ref, target, policy, act()), 'ERR_NOT_PREPARED');
      assert.equal(await pair.recovery.fabric.findVm(atRecovery(ref)), null);
    });

    it('no longer takes replicas after its hosts were released', async () => {
      const [ref] = pair.vms;
      const target = await prepare();
      await pair.recovery.fabric.releaseHosts(pairingId, pair.recovery.cloudId, act());
      await assert.rejects(pair.primary.fabric.enableReplication(ref, target, policy, act()));
      assert.equal(await pair.recovery.fabric.findVm(atRecovery(ref)), null);
      assert.equal((await viewOf(pair.primary, ref)).replication.mode, 'none');
    });

    it('replicates by itself once the first copy was started, and has a recovery point then', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const view = await viewOf(pair.recovery, replica);
      assert.deepEqual([view.replication.state, view.replication.health, view.power], ['replicating', 'normal', 'off']);
      const [point] = await pair.recovery.fabric.recoveryPoints(replica);
      assert.ok(point);
      assert.equal(view.replication.lastPointAt, point.at);
      assert.equal((await viewOf(pair.primary, ref)).replication.health, 'normal');
    });

    it('fails a replica over to an off VM on its networks, and leaves the primary alone', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      await pair.recovery.fabric.startFailover(replica, null, act());
      const view = await viewOf(pair.recovery, replica);
      assert.deepEqual(
        [view.replication.state, view.power, view.networkIds],
        ['failedOverWaitingCompletion', 'off', [pair.recovery.networkId]],
      );
      assert.equal((await viewOf(pair.primary, ref)).power, 'running');
    });

    it('prepares a primary that is off: its last changes are at the replica, it cannot be started, and both can be taken back', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const { fabric } = pair.primary;
      await unchangedBy(pair.primary, ref, () => fabric.prepareFailover(ref, act()), 'ERR_WRONG_STATE');
      await fabric.stopVm(ref, act());
      await unchangedBy(pair.primary, ref, () => fabric.stopVm(ref, act()), 'ERR_WRONG_STATE');
      assert.equal((await viewOf(pair.primary, ref)).power, 'off');
      await fabric.prepareFailover(ref, act());
      const prepared = await viewOf(pair.primary, ref);
      assert.deepEqual([prepared.replication.mode, prepared.replication.state], ['primary', 'preparedForFailover']);
      assert.equal((await viewOf(pair.recovery, replica)).replication.lastPointAt, prepared.replication.lastPointAt);
      await unchangedBy(pair.primary, ref, () => fabric.startVm(ref, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, ref, () => fabric.prepareFailover(ref, act()), 'ERR_WRONG_STATE');

      await pair.recovery.fabric.startFailover(replica, null, act());
      await pair.recovery.fabric.stopFailover(replica, act());
      await fabric.stopFailover(ref, act());
      assert.equal((await viewOf(pair.primary, ref)).replication.state, 'replicating');
      await fabric.startVm(ref, act());
      await pair.until(async () => (await viewOf(pair.primary, ref)).replication.health === 'normal');
    });

    it('takes a failover back, off and unconnected, and can do it again', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      await fabric.startFailover(replica, null, act());
      await fabric.startVm(replica, act());
      await fabric.stopFailover(replica, act());
      const view = await viewOf(pair.recovery, replica);
      assert.deepEqual([view.replication.state, view.power, view.networkIds], ['replicating', 'off', []]);
      assert.ok((await fabric.recoveryPoints(replica)).length > 0, 'its recovery points are still there');
      await fabric.startFailover(replica, null, act());
      assert.equal((await viewOf(pair.recovery, replica)).replication.state, 'failedOverWaitingCompletion');
    });

    it('gives up all recovery points when the failover is completed, and cannot take it back then', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      await fabric.startFailover(replica, null, act());
      await fabric.startVm(replica, act());
      await fabric.completeFailover(replica, act());
      assert.deepEqual(
        [(await viewOf(pair.recovery, replica)).replication.state, await fabric.recoveryPoints(replica)],
        ['failedOver', []],
      );
      await unchangedBy(pair.recovery, replica, () => fabric.stopFailover(replica, act()), 'ERR_WRONG_STATE');
      assert.equal((await viewOf(pair.recovery, replica)).power, 'running');
    });

    it('makes a test copy off and unconnected beside a replica that goes on replicating, and keeps its point with it', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      const before = await viewOf(pair.recovery, replica);
      const [point] = await fabric.recoveryPoints(replica);
      assert.equal(await fabric.findTestCopy(replica), null);
      await fabric.startTestFailover(replica, point?.id ?? null, act());
      const copy = await fabric.findTestCopy(replica);
      assert.deepEqual(
        [copy?.name, copy?.power, copy?.networkIds, copy?.recoveryPoint.id],
        [`${before.name} - Test`, 'off', [], point?.id],
      );
      assert.notEqual(copy?.ref.vmId, replica.vmId);
      const { mode, state } = (await viewOf(pair.recovery, replica)).replication;
      assert.deepEqual([mode, state], ['replica', 'replicating']);
      assert.ok(
        (await fabric.readInventory(null)).vms.every(({ ref }) => ref.vmId !== copy?.ref.vmId),
        'it is in no inventory',
      );
      await unchangedBy(pair.recovery, replica, () => fabric.startTestFailover(replica, null, act()), 'ERR_TEST_COPY_EXISTS');
    });

    it('connects, starts and removes the test copy, and the replica is what it was', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      await fabric.startTestFailover(replica, null, act());
      await fabric.connectTestCopy(replica, pair.isolatedId, act());
      await fabric.connectTestCopy(replica, pair.isolatedId, act());
      await fabric.startTestVm(replica, act());
      const copy = await fabric.findTestCopy(replica);
      assert.deepEqual([copy?.power, copy?.networkIds], ['running', [pair.isolatedId]]);
      await pair.until(() => fabric.guestAnswers(copy?.ref as VmRef));
      const { power, networkIds, epoch } = await viewOf(pair.recovery, replica);
      assert.deepEqual([power, networkIds, epoch], ['off', [], 0]);
      const { cursor } = await fabric.readInventory(null);
      await fabric.stopTestFailover(replica, act());
      assert.equal(await fabric.findTestCopy(replica), null);
      assert.deepEqual((await fabric.readInventory(cursor)).removedVms, []);
      await unchangedBy(pair.recovery, replica, () => fabric.stopTestFailover(replica, act()), 'ERR_NO_TEST_COPY');
    });

    it('removes the test copy of a replica that was failed over since, and leaves the failover alone', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      await fabric.startTestFailover(replica, null, act());
      await fabric.startFailover(replica, null, act());
      await fabric.startVm(replica, act());
      await fabric.stopTestFailover(replica, act());
      const { power, replication } = await viewOf(pair.recovery, replica);
      assert.deepEqual([power, replication.state], ['running', 'failedOverWaitingCompletion']);
      await unchangedBy(pair.recovery, replica, () => fabric.startTestFailover(replica, null, act()), 'ERR_WRONG_STATE');
    });

    it('makes a network of its own for a drill, after another one and without its way out, in no inventory, and removes it when it is empty', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric, networkId } = pair.recovery;
      const [drill, other] = [JobId.parse('0d000000-0000-4000-8000-000000000001'), JobId.parse('0d000000-0000-4000-8000-000000000002')];
      assert.deepEqual(await fabric.drillNetworks(), []);
      const { cursor } = await fabric.readInventory(null);
      for (const one of [drill, other]) await fabric.makeDrillNetwork(one, networkId, act());
      const [mine, theirs] = await Promise.all(
        [drill, other].map(async (one) => (await fabric.drillNetworks()).find((made) => made.drill === one)),
      );
      assert.ok(mine && theirs && mine.id !== theirs.id, 'each drill has its own');
      assert.deepEqual(await fabric.networkExposure(mine.id), { leadsOut: false, otherVms: 0 });
      assert.deepEqual((await fabric.readInventory(cursor)).networks, []);
      await assert.rejects(fabric.makeDrillNetwork(drill, networkId, act()), { code: 'ERR_CONFLICT' });
      await assert.rejects(fabric.makeDrillNetwork(JobId.parse(pairingId), pairingId as string as NetworkId, act()), {
        code: 'ERR_NETWORK_NOT_FOUND',
      });

      await fabric.startTestFailover(replica, null, act());
      await fabric.connectTestCopy(replica, mine.id, act());
      assert.deepEqual((await fabric.findTestCopy(replica))?.networkIds, [mine.id]);
      assert.equal((await fabric.drillNetworks()).find((made) => made.drill === drill)?.copies, 1);
      await assert.rejects(fabric.removeDrillNetwork(drill, act()), { code: 'ERR_CONFLICT' });
      await fabric.removeDrillNetwork(other, act());
      assert.deepEqual(await fabric.drillNetworks(), [{ drill, id: mine.id, copies: 1 }]);
      await fabric.stopTestFailover(replica, act());
      await fabric.removeDrillNetwork(drill, act());
      assert.deepEqual([await fabric.drillNetworks(), await fabric.networkExposure(mine.id)], [[], null]);
      await assert.rejects(fabric.removeDrillNetwork(drill, act()), { code: 'ERR_NETWORK_NOT_FOUND' });
    });

    it('tells whether a network leads out, and who is on it', async () => {
      const { fabric, networkId } = pair.recovery;
      assert.deepEqual(await fabric.networkExposure(pair.isolatedId), { leadsOut: false, otherVms: 0 });
      assert.equal((await fabric.networkExposure(networkId))?.leadsOut, true);
      assert.equal((await pair.primary.fabric.networkExposure(pair.primary.networkId))?.otherVms, 2);
      assert.equal(await fabric.networkExposure(pairingId as string as NetworkId), null);
    });

    it('answers for the guest only while the VM runs', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      await fabric.startFailover(replica, null, act());
      assert.equal(await fabric.guestAnswers(replica), false);
      await fabric.startVm(replica, act());
      await pair.until(() => fabric.guestAnswers(replica));
    });

    it('refuses each call in a state that does not allow it, and changes nothing', async () => {
      const [ref, other] = pair.vms;
      const replica = await replicate(ref);
      const { fabric } = pair.recovery;
      const target = await prepare();
      const primary = pair.primary.fabric;
      await unchangedBy(pair.primary, ref, () => primary.startVm(ref, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, ref, () => primary.enableReplication(ref, target, policy, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, ref, () => primary.startInitialReplication(ref, firstCopyNow, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, ref, () => primary.startFailover(ref, null, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, ref, () => primary.deleteVm(ref, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.primary, other, () => primary.removeReplication(other, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.recovery, replica, () => fabric.startVm(replica, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.recovery, replica, () => fabric.stopFailover(replica, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.recovery, replica, () => fabric.completeFailover(replica, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.recovery, replica, () => fabric.deleteVm(replica, act()), 'ERR_WRONG_STATE');
      await unchangedBy(pair.recovery, replica, () => fabric.startFailover(replica, 'no such point', act()), 'ERR_NO_RECOVERY_POINT');
      await fabric.startFailover(replica, null, act());
      await unchangedBy(pair.recovery, replica, () => fabric.startFailover(replica, null, act()), 'ERR_WRONG_STATE');
      await fabric.startVm(replica, act());
      await unchangedBy(pair.recovery, replica, () => fabric.startVm(replica, act()), 'ERR_WRONG_STATE');
    });

    it('removes replication on the side that is asked and keeps the VM there', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      await pair.primary.fabric.removeReplication(ref, act());
      assert.equal((await viewOf(pair.primary, ref)).replication.mode, 'none');
      assert.equal((await viewOf(pair.recovery, replica)).replication.mode, 'replica');
      await pair.recovery.fabric.removeReplication(replica, act());
      assert.equal((await viewOf(pair.recovery, replica)).replication.mode, 'none');
    });

    it('deletes a VM that is off and no longer replicates, and reports it as removed', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const { fabric } = pair.recovery;
      await pair.primary.fabric.removeReplication(ref, act());
      await fabric.removeReplication(replica, act());
      const { cursor } = await fabric.readInventory(null);
      await fabric.deleteVm(replica, act());
      assert.equal(await fabric.findVm(replica), null);
      assert.deepEqual((await fabric.readInventory(cursor)).removedVms, [replica]);
      await assert.rejects(fabric.deleteVm(replica, act()), { code: 'ERR_VM_NOT_FOUND' });
    });
  });
  describeReversalContract(name, makePair);
}
