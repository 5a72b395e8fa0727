/** The contract of the fabric port, second part: another policy, replication that is turned round, older points. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { settingsOf } from '../../shared/domain/policy.ts';
import type { VmRef } from '../../shared/ids.ts';
import { type ContractPair, isAtMost, policy, walkOf } from './contract-walk.ts';

export function describeReversalContract(name: string, makePair: () => Promise<ContractPair>): void {
  describe(`the fabric port turned round, ${name}`, () => {
    let pair: ContractPair;
    const { act, viewOf, targets, enable, replicate, later, unchangedBy } = walkOf(() => pair);

    beforeEach(async () => {
      pair = await makePair();
    });
    afterEach(() => pair.close());

    const phaseOf = async (side: 'primary' | 'recovery', ref: VmRef) => {
      const { mode, state } = (await viewOf(pair[side], ref)).replication;
      return [mode, state];
    };

    async function failOverPlanned(ref: VmRef, replica: VmRef): Promise<void> {
      await later();
      await pair.primary.fabric.stopVm(ref, act());
      await pair.primary.fabric.prepareFailover(ref, act());
      await pair.recovery.fabric.startFailover(replica, null, act());
      await pair.recovery.fabric.startVm(replica, act());
    }

    for (const end of ['primary', 'recovery'] as const) {
      it(`suspends replication at the ${end} end and resumes it; meanwhile no point arrives, and the replica can be failed over`, async () => {
        const [ref] = pair.vms;
        const replica = await replicate(ref);
        const at = end === 'primary' ? ref : replica;
        const mode = end === 'primary' ? 'primary' : 'replica';
        const { fabric } = pair[end];
        await fabric.suspendReplication(at, act());
        const { replication } = await viewOf(pair[end], at);
        assert.deepEqual(
          [replication.mode, replication.state, replication.health],
          [mode, 'suspended', end === 'primary' ? 'warning' : 'critical'],
        );
        await unchangedBy(pair[end], at, () => fabric.suspendReplication(at, act()), 'ERR_WRONG_STATE');
        const before = (await viewOf(pair.recovery, replica)).replication.lastPointAt;
        await later();
        assert.equal((await viewOf(pair.recovery, replica)).replication.lastPointAt, before);

        await pair.recovery.fabric.startFailover(replica, null, act());
        await pair.recovery.fabric.stopFailover(replica, act());
        if (end === 'recovery') await fabric.suspendReplication(at, act());
        await fabric.resumeReplication(at, act());
        assert.deepEqual(await phaseOf(end, at), [mode, 'replicating']);
        await unchangedBy(pair[end], at, () => fabric.resumeReplication(at, act()), 'ERR_WRONG_STATE');
        // A primary sends at once what it owes; of a replica it learns when it sends next.
        if (end === 'primary')
          await pair.until(async () => ((await viewOf(pair.recovery, replica)).replication.lastPointAt ?? 0) > (before ?? 0));
      });
    }

    it('begins the first copy at its moment, and tells it until then', async () => {
      const [ref] = pair.vms;
      await enable(ref);
      const { fabric } = pair.primary;
      const at = Math.ceil(pair.now() / 1000) * 1000 + 1_000;
      await fabric.startInitialReplication(ref, { how: 'at', at: new Date(at).toISOString() }, act());
      const { state, firstCopyAt } = (await viewOf(pair.primary, ref)).replication;
      assert.deepEqual([state, firstCopyAt], ['readyForInitialReplication', at]);
      await pair.until(async () => (await viewOf(pair.primary, ref)).replication.state === 'replicating');
      assert.equal((await viewOf(pair.primary, ref)).replication.firstCopyAt, undefined);
    });

    it('exports the first copy to a folder, and takes it in at the other end from where it was carried', async (t) => {
      const [ref, other] = pair.vms;
      const folder = mkdtempSync(path.join(tmpdir(), 'farshore-carried-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const [replica, otherReplica] = [await enable(ref), await enable(other)];
      await pair.primary.fabric.startInitialReplication(ref, { how: 'export', folder }, act());
      await pair.until(async () => (await viewOf(pair.primary, ref)).replication.state === 'waitingForInitialReplication');
      assert.deepEqual(await phaseOf('recovery', replica), ['replica', 'waitingForInitialReplication']);
      const { fabric } = pair.recovery;
      await assert.rejects(fabric.importInitialReplication(otherReplica, folder, act()), 'it is of another VM');
      assert.deepEqual(await phaseOf('recovery', otherReplica), ['replica', 'waitingForInitialReplication']);
      const carried = `${folder}-carried`;
      t.after(() => rmSync(carried, { recursive: true, force: true }));
      renameSync(folder, carried);
      await fabric.importInitialReplication(replica, carried, act());
      assert.deepEqual(await phaseOf('recovery', replica), ['replica', 'replicating']);
      assert.equal((await fabric.recoveryPoints(replica)).length, 1);
      await unchangedBy(pair.recovery, replica, () => fabric.importInitialReplication(replica, carried, act()), 'ERR_WRONG_STATE');
    });

    it('replicates by another policy at both ends, twice like once, and refuses it where nothing is sent', async () => {
      const [ref, other] = pair.vms;
      const replica = await replicate(ref);
      const { fabric } = pair.primary;
      const changed = {
        ...policy,
        copyFrequencySeconds: 900 as const,
        additionalRecoveryPoints: 5,
        applicationConsistentHours: 2,
        compression: false,
      };
      for (let i = 0; i < 2; i++) await fabric.setReplicationPolicy(ref, changed, act());
      assert.deepEqual((await viewOf(pair.primary, ref)).replication.settings, settingsOf(changed));
      assert.deepEqual((await viewOf(pair.recovery, replica)).replication.settings, settingsOf(changed));
      await fabric.setReplicationPolicy(ref, policy, act());
      assert.deepEqual((await viewOf(pair.primary, ref)).replication.settings, settingsOf(policy), 'what was switched on is off again');
      await unchangedBy(pair.primary, other, () => fabric.setReplicationPolicy(other, changed, act()), 'ERR_WRONG_STATE');
      await unchangedBy(
        pair.recovery,
        replica,
        () => pair.recovery.fabric.setReplicationPolicy(replica, changed, act()),
        'ERR_WRONG_STATE',
      );
    });

    it('tells a planned failover from another', async () => {
      const [ref, other] = pair.vms;
      const [replica, otherReplica] = [await replicate(ref), await replicate(other)];
      assert.equal((await viewOf(pair.recovery, replica)).replication.failoverType, 'none');
      await failOverPlanned(ref, replica);
      await pair.recovery.fabric.startFailover(otherReplica, null, act());
      assert.equal((await viewOf(pair.recovery, replica)).replication.failoverType, 'planned');
      assert.equal((await viewOf(pair.recovery, otherReplica)).replication.failoverType, 'unplanned');
    });

    it('leaves with a failover whose work it is and which point the VM stands on, and nothing once it is taken back', async () => {
      const replica = await replicate(pair.vms[0]);
      const { fabric } = pair.recovery;
      const [point] = await fabric.recoveryPoints(replica);
      assert.equal((await viewOf(pair.recovery, replica)).failover, null);
      const work = act();
      await fabric.startFailover(replica, null, work);
      assert.deepEqual((await viewOf(pair.recovery, replica)).failover, { commandId: work.commandId, recoveryPoint: point });
      await fabric.stopFailover(replica, act());
      assert.equal((await viewOf(pair.recovery, replica)).failover, null);
      await fabric.startFailover(replica, null, act());
      await fabric.completeFailover(replica, act());
      assert.deepEqual((await viewOf(pair.recovery, replica)).failover?.recoveryPoint, point);
    });

    it('swaps the roles after a planned failover, and takes it no more back', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const { back } = await targets();
      const { fabric } = pair.recovery;
      await unchangedBy(pair.recovery, replica, () => fabric.reverseReplication(replica, back, policy, act()), 'ERR_WRONG_STATE');
      await failOverPlanned(ref, replica);
      await fabric.reverseReplication(replica, back, policy, act());
      assert.deepEqual(await phaseOf('recovery', replica), ['primary', 'replicating']);
      assert.deepEqual(await phaseOf('primary', ref), ['replica', 'replicating']);
      assert.equal((await viewOf(pair.recovery, replica)).power, 'running');
      await unchangedBy(pair.recovery, replica, () => fabric.stopFailover(replica, act()), 'ERR_WRONG_STATE');
    });

    it('makes a former primary that is off the replica, sends what differs, and fails it back to where it stood', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const { back } = await targets();
      const [primary, recovery] = [pair.primary.fabric, pair.recovery.fabric];
      await recovery.startFailover(replica, null, act());
      await recovery.startVm(replica, act());
      await unchangedBy(pair.primary, ref, () => primary.becomeReplica(ref, act()), 'ERR_WRONG_STATE');
      await primary.stopVm(ref, act());
      await primary.becomeReplica(ref, act());
      assert.deepEqual(await phaseOf('primary', ref), ['replica', 'waitingForInitialReplication']);
      assert.deepEqual((await viewOf(pair.primary, ref)).networkIds, []);
      await recovery.reverseReplication(replica, back, policy, act());
      assert.deepEqual(await phaseOf('recovery', replica), ['primary', 'readyForInitialReplication']);
      await primary.configureReplica(ref, [], act());
      await recovery.startInitialReplication(replica, firstCopyNow, act());
      await pair.until(async () => (await phaseOf('primary', ref))[1] === 'replicating');
      await primary.startFailover(ref, null, act());
      assert.deepEqual((await viewOf(pair.primary, ref)).networkIds, [pair.primary.networkId]);
    });
  });
}

/** For a pair in whose time a quarter of an hour can be waited for. */
export function describeOlderPointContract(name: string, makePair: () => Promise<ContractPair>): void {
  describe(`older points of the fabric port, ${name}`, () => {
    let pair: ContractPair;
    const { act, viewOf, measureAt, replicate } = walkOf(() => pair);

    beforeEach(async () => {
      pair = await makePair();
    });
    afterEach(() => pair.close());

    it('counts the cycles of a primary as they pass, with their sizes and how long they took', async () => {
      const [ref] = pair.vms;
      await replicate(ref);
      await pair.until(async () => ((await measureAt(pair.primary, ref))?.cycles ?? 0) > 1);
      const measure = await measureAt(pair.primary, ref);
      assert.ok(measure && measure.averageBytes !== 0 && isAtMost(measure.averageBytes, measure.maximumBytes));
      assert.ok(measure.averageLatencyMs !== null && isAtMost(measure.averageLatencyMs, measure.maximumLatencyMs));
      assert.ok((measure.since ?? Number.NaN) <= pair.now());
    });

    it('fails over to an older point that it keeps, and takes that back for another', async () => {
      const [ref] = pair.vms;
      const replica = await replicate(ref);
      const { fabric } = pair.recovery;
      await pair.primary.fabric.setReplicationPolicy(ref, { ...policy, copyFrequencySeconds: 900, additionalRecoveryPoints: 4 }, act());
      await pair.until(async () => (await fabric.recoveryPoints(replica)).length > 1);
      const points = await fabric.recoveryPoints(replica);
      const older = points.at(-1);
      assert.ok(older !== undefined && points.length > 1 && older.at < (points[0]?.at ?? 0));
      await fabric.startFailover(replica, older.id, act());
      assert.equal((await viewOf(pair.recovery, replica)).replication.state, 'failedOverWaitingCompletion');
      await fabric.stopFailover(replica, act());
      await fabric.startTestFailover(replica, older.id, act());
      assert.deepEqual((await fabric.findTestCopy(replica))?.recoveryPoint, older);
    });
  });
}
