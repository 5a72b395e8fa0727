/** The Hyper-V fabric where SCVMM manages the hosts, and where its cmdlets lie, fail, or show what was: through the real module in the real PowerShell engine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { JobId, NetworkId, VmId, type VmRef } from '../../shared/ids.ts';
import { policy, walkOf } from '../contract/contract-walk.ts';
import type { CmdletFault } from '../support/emulated-hyperv/emulated-hyperv.ts';
import { referenceTo } from '../support/emulated-hyperv/hosts.ts';
import { type EmulatedPair, openEmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { type EmulatedPowerShell, fabricOf, scvmmConfigOf } from '../support/emulated-hyperv/powershell-fabric.ts';
import type { EmulatedScvmm } from '../support/emulated-hyperv/sc-server.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const found = await findPowerShell();
const drill = JobId.parse('0d000000-0000-4000-8000-000000000001');

describe('the Hyper-V fabric with SCVMM', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let pair: EmulatedPair;
  let atPrimary: EmulatedScvmm;
  let atRecovery: EmulatedScvmm;
  const { act, targets, enable, replicate, viewOf, later } = walkOf(() => pair);
  let ref: VmRef;
  let replica: VmRef;
  const primary = () => pair.primary.fabric;
  const recovery = () => pair.recovery.fabric;
  const networks = () => [{ from: pair.primary.networkId, to: pair.recovery.networkId }];
  const referenceOf = async (side: 'primary' | 'recovery', vm: VmRef) => {
    const known = await pair.hyperV.hosts.find(pair.sites[side], vm);
    assert.ok(known);
    return referenceTo(known);
  };
  const calls = (cmdlet: string) => pair.hyperV.calls.filter((call) => call.cmdlet === cmdlet).length;

  pairForEach(
    found,
    (opened, engine) => {
      pair = opened;
      powerShell = engine;
      [atPrimary, atRecovery] = pair.hyperV.scvmms as unknown as [EmulatedScvmm, EmulatedScvmm];
      [ref] = pair.vms;
      replica = { cloudId: pair.recovery.cloudId, vmId: ref.vmId };
    },
    { mode: 'scvmm' },
  );

  const failOver = async () => {
    await replicate(ref);
    await recovery().startFailover(replica, null, act());
  };
  const copied = async () => {
    await replicate(ref);
    await recovery().startTestFailover(replica, null, act());
  };

  describe('where a cmdlet of SCVMM fails', () => {
    interface Case {
      readonly cmdlet: string;
      readonly arrange: () => Promise<unknown>;
      readonly call: () => Promise<unknown>;
    }
    const nothing = async () => {};
    const drillNetwork = () => recovery().makeDrillNetwork(drill, pair.recovery.networkId, act());

    const cases: Readonly<Record<string, Case>> = {
      'writes an epoch': { cmdlet: 'Set-SCCustomPropertyValue', arrange: nothing, call: () => primary().writeEpoch(ref, 3, act()) },
      'writes the first epoch of all': {
        cmdlet: 'New-SCCustomProperty',
        arrange: nothing,
        call: () => primary().writeEpoch(ref, 3, act()),
      },
      'puts a replica into its cloud': {
        cmdlet: 'Set-SCVirtualMachine',
        arrange: () => enable(ref),
        call: () => recovery().configureReplica(replica, networks(), act()),
      },
      'grants an address': {
        cmdlet: 'Grant-SCIPAddress',
        arrange: () => enable(ref),
        call: () => recovery().configureReplica(replica, networks(), act()),
      },
      'gives an address back': {
        cmdlet: 'Revoke-SCIPAddress',
        arrange: () => replicate(ref),
        call: () => recovery().removeReplication(replica, act()),
      },
      'looks for a replica that it has not seen': {
        cmdlet: 'Read-SCVirtualMachine',
        arrange: () => enable(ref),
        call: () => viewOf(pair.recovery, replica),
      },
      'connects a test copy': {
        cmdlet: 'Set-SCVirtualNetworkAdapter',
        arrange: copied,
        call: () => recovery().connectTestCopy(replica, pair.isolatedId, act()),
      },
      'makes a network for a drill': { cmdlet: 'New-SCVMNetwork', arrange: nothing, call: drillNetwork },
      'removes the network of a drill': {
        cmdlet: 'Remove-SCVMNetwork',
        arrange: drillNetwork,
        call: () => recovery().removeDrillNetwork(drill, act()),
      },
    };

    for (const [name, { cmdlet, arrange, call }] of Object.entries(cases))
      for (const fault of ['lies', 'failsBefore'] as const satisfies readonly CmdletFault[])
        it(`${name}: is not done because ${cmdlet} ${fault === 'lies' ? 'says so' : 'was called'}, and is when it is asked again`, async () => {
          await arrange();
          pair.hyperV.order(cmdlet, fault);
          await assert.rejects(call, { code: 'ERR_FABRIC_FAILED' });
          assert.deepEqual(pair.hyperV.fired, [cmdlet], 'the fault happened');
          await call();
        });

    it('says of a server that is down what to look at, and goes on when it is back', async () => {
      atPrimary.isDown = true;
      await assert.rejects(primary().readInventory(null), { code: 'ERR_FABRIC_FAILED', message: /SCVMM at vmm\.reading\.example:8100/ });
      await assert.rejects(primary().findVm(ref), { code: 'ERR_FABRIC_FAILED' });
      await assert.rejects(primary().writeEpoch(ref, 3, act()), { code: 'ERR_FABRIC_FAILED' });
      atPrimary.isDown = false;
      await primary().writeEpoch(ref, 3, act());
      assert.equal((await viewOf(pair.primary, ref)).epoch, 3);
    });

    it('says so where the account of the agent has no role', async () => {
      await assert.rejects(primary().stopVm({ ...ref, vmId: VmId.parse('00000000-0000-4000-8000-000000000000') }, act()), {
        code: 'ERR_VM_NOT_FOUND',
      });
      pair.hyperV.order('Get-SCVMMServer', 'failsBefore');
      await assert.rejects(primary().findVm(ref), { code: 'ERR_FABRIC_FAILED', message: /the account of the agent has a role/ });
      assert.deepEqual(pair.hyperV.fired, ['Get-SCVMMServer']);
    });

    it('fails over where SCVMM connects no replica at rest, and connects it then', async () => {
      await replicate(ref);
      pair.hyperV.order('Set-SCVirtualNetworkAdapter', 'failsBefore');
      await recovery().startFailover(replica, null, act());
      assert.deepEqual(pair.hyperV.fired, ['Set-SCVirtualNetworkAdapter']);
      assert.deepEqual((await viewOf(pair.recovery, replica)).networkIds, [pair.recovery.networkId]);
    });

    it('connects a replica before it is started whose failover ended before that', async () => {
      await failOver();
      const vm = await pair.hyperV.hosts.find(pair.sites.recovery, replica);
      assert.ok(vm);
      pair.hyperV.hosts.adapters(vm)[0] = '';
      assert.deepEqual((await viewOf(pair.recovery, replica)).networkIds, []);
      await recovery().startVm(replica, act());
      assert.deepEqual((await viewOf(pair.recovery, replica)).networkIds, [pair.recovery.networkId]);
    });
  });

  it('keeps epoch and failover in a custom property, and plans in the notes of the VM', async () => {
    await failOver();
    await recovery().writeEpoch(replica, 5, act());
    const reference = await referenceOf('recovery', replica);
    const value = atRecovery.values.get(reference) ?? '';
    assert.match(value, /^failover=\S+; epoch\/\S+=5$/);
    const vm = await pair.hyperV.hosts.find(pair.sites.recovery, replica);
    assert.ok(vm);
    assert.doesNotMatch(pair.hyperV.hosts.notes(vm), /epoch|failover/);
    assert.match(pair.hyperV.hosts.notes(vm), /\[farshore\] plan=/);
    await recovery().stopFailover(replica, act());
    assert.match(atRecovery.values.get(reference) ?? '', /^epoch\/\S+=5$/);
    assert.equal((await viewOf(pair.recovery, replica)).failover, null);
  });

  it('takes the last line out with the value', async () => {
    await failOver();
    await recovery().stopFailover(replica, act());
    assert.equal(atRecovery.values.get(await referenceOf('recovery', replica)), undefined);
  });

  it('counts an epoch that was written into the notes before SCVMM was named', async () => {
    const vm = await pair.hyperV.hosts.find(pair.sites.primary, ref);
    assert.ok(vm);
    pair.hyperV.hosts.setNotes(vm, `[farshore] epoch/${ref.cloudId}=7`);
    assert.equal((await viewOf(pair.primary, ref)).epoch, 7);
    await primary().writeEpoch(ref, 6, act());
    assert.equal((await viewOf(pair.primary, ref)).epoch, 7, 'it is never lowered');
    await primary().writeEpoch(ref, 8, act());
    assert.equal((await viewOf(pair.primary, ref)).epoch, 8);
  });

  it('reads of the inventory what changed: one VM costs one', async () => {
    const { cursor } = await primary().readInventory(null);
    await primary().writeEpoch(ref, 2, act());
    const first = await primary().readInventory(cursor);
    assert.deepEqual(
      first.vms.map((vm) => [vm.ref.vmId, vm.epoch]),
      [[ref.vmId, 2]],
    );
    const costs = async (cursorNow: string) => {
      const before = calls('Get-SCCustomPropertyValue');
      const { vms, cursor: next } = await primary().readInventory(cursorNow);
      return { vms, next, read: calls('Get-SCCustomPropertyValue') - before };
    };
    pair.sites.primary.site.tagVm(ref, ['web', 'gold']);
    const tagged = await costs(first.cursor);
    assert.deepEqual(tagged.vms, [await viewOf(pair.primary, ref)]);
    assert.deepEqual(tagged.vms[0]?.tags, ['web', 'gold']);
    const calm = await costs(tagged.next);
    assert.deepEqual([calm.vms, calm.read], [[], 1], 'of two VMs only the one that changed last is looked at again');
  });

  it('reads past VMs that stand on no host', async () => {
    const stored = { $type: 'VM', $ref: 'stored', ID: uuidOf('stored'), VMId: '', Name: 'stored', HostName: '', Status: 'Stored' };
    atPrimary.seen.set('nowhere/at/all', { cloud: 'Gold', isMissing: false, text: JSON.stringify(stored), modifiedAt: 1 });
    assert.equal((await primary().readInventory(null)).vms.length, 2);
  });

  it('is told of a change by the port in any case, also where the reading of it failed', async () => {
    const { cursor } = await primary().readInventory(null);
    await primary().writeEpoch(ref, 2, act());
    atPrimary.isDown = true;
    await assert.rejects(primary().readInventory(cursor), { code: 'ERR_FABRIC_FAILED' });
    atPrimary.isDown = false;
    assert.deepEqual(
      (await primary().readInventory(cursor)).vms.map(({ epoch }) => epoch),
      [2],
    );
  });

  it('lists a replica that SCVMM has in no cloud yet, and no test copy', async () => {
    await enable(ref);
    assert.ok(await recovery().findVm(replica), 'SCVMM is told to look');
    const { vms } = await recovery().readInventory(null);
    assert.deepEqual(
      vms.map(({ ref: each, replication }) => [each, replication.mode]),
      [[replica, 'replica']],
    );
    await recovery().configureReplica(replica, networks(), act());
    await primary().startInitialReplication(ref, firstCopyNow, act());
    await pair.until(async () => (await viewOf(pair.recovery, replica)).replication.state === 'replicating');
    await recovery().startTestFailover(replica, null, act());
    assert.ok(await recovery().findTestCopy(replica));
    assert.equal((await recovery().readInventory(null)).vms.length, 1);
  });

  it('leaves no record in SCVMM of a copy that was removed at its host', async () => {
    await copied();
    await recovery().connectTestCopy(replica, pair.isolatedId, act());
    const known = atRecovery.seen.size;
    await recovery().stopTestFailover(replica, act());
    assert.equal(atRecovery.seen.size, known - 1);
  });

  it('removes the network of a drill whose copy went without SCVMM, and not one that is in use', async () => {
    await copied();
    await recovery().makeDrillNetwork(drill, pair.recovery.networkId, act());
    const [network] = await recovery().drillNetworks();
    assert.ok(network);
    await recovery().connectTestCopy(replica, network.id, act());
    assert.deepEqual(await recovery().networkExposure(network.id), { leadsOut: false, otherVms: 0 });
    await assert.rejects(recovery().removeDrillNetwork(drill, act()), { code: 'ERR_CONFLICT' });
    await pair.sites.recovery.site.stopTestFailover(replica, act());
    await recovery().removeDrillNetwork(drill, act());
    assert.deepEqual(await recovery().drillNetworks(), []);
  });

  it('gives the network of a drill its subnets where its maker died before', async () => {
    await copied();
    pair.hyperV.order('New-SCVMSubnet', 'failsBefore');
    await assert.rejects(recovery().makeDrillNetwork(drill, pair.recovery.networkId, act()), { code: 'ERR_FABRIC_FAILED' });
    assert.deepEqual(pair.hyperV.fired, ['New-SCVMSubnet']);
    const [network] = await recovery().drillNetworks();
    assert.ok(network, 'its mark came with it');
    await recovery().connectTestCopy(replica, network.id, act());
    assert.deepEqual((await recovery().findTestCopy(replica))?.networkIds, [network.id]);
  });

  it('says what is missing where no isolated network can be made', async () => {
    atRecovery.virtualizes = false;
    await assert.rejects(recovery().makeDrillNetwork(drill, pair.recovery.networkId, act()), {
      code: 'ERR_FABRIC_FAILED',
      message: /must allow network virtualization; else choose an isolated network/,
    });
  });

  it('takes the VMs of a host that is silent for critical, and counts whoever stands there as no copy', async () => {
    const { cursor } = await primary().readInventory(null);
    const host = (await primary().hostOf(ref))?.split('.')[0] ?? '';
    const { faults } = pair.sites.primary.site;
    const fault = faults.order({ kind: 'hostDies', host });
    const dark = await primary().readInventory(cursor);
    assert.deepEqual([dark.full, dark.removedVms], [false, []]);
    assert.equal(dark.vms.find((vm) => vm.ref.vmId === ref.vmId)?.power, 'critical');
    assert.equal((await primary().networkExposure(pair.primary.networkId))?.otherVms, 2);
    await assert.rejects(primary().findVm(ref), { code: 'ERR_HOST_DOWN' });
    const another = fabricOf(scvmmConfigOf(pair.sites.primary, []), powerShell.host);
    await assert.rejects(another.readInventory(null), { code: 'ERR_HOST_DOWN' });
    faults.lift(fault);
    assert.equal((await another.readInventory(null)).vms.length, 2);
  });

  it('refuses a network that SCVMM does not have before it connects anything', async () => {
    await copied();
    const before = pair.hyperV.changes.length;
    const nowhere = NetworkId.parse('11111111-1111-4111-8111-111111111111');
    await assert.rejects(recovery().connectTestCopy(replica, nowhere, act()), { code: 'ERR_NETWORK_NOT_FOUND' });
    await assert.rejects(recovery().makeDrillNetwork(drill, nowhere, act()), { code: 'ERR_NETWORK_NOT_FOUND' });
    await assert.rejects(recovery().configureReplica(replica, [{ from: pair.primary.networkId, to: nowhere }], act()), {
      code: 'ERR_NETWORK_NOT_FOUND',
    });
    assert.deepEqual(pair.hyperV.changes.slice(before), []);
  });

  it('says which cloud SCVMM does not have, and which it has', async () => {
    const config = scvmmConfigOf(pair.sites.primary, []);
    const [cloud] = config.clouds;
    assert.ok(cloud);
    const wrong = fabricOf({ ...config, clouds: [{ ...cloud, name: 'Golden' }] }, powerShell.host);
    await assert.rejects(wrong.readInventory(null), { code: 'ERR_CLOUD_NOT_FOUND', message: /no cloud 'Golden'.*it has 'Gold'/ });
  });

  it('asks SCVMM for nothing where none is named', async () => {
    const plain = await openEmulatedPair(powerShell);
    try {
      await plain.primary.fabric.writeEpoch(plain.vms[0], 3, act());
      await plain.primary.fabric.readInventory(null);
      assert.ok(plain.hyperV.calls.length > 0);
      assert.deepEqual(
        plain.hyperV.calls.filter(({ cmdlet }) => cmdlet.includes('-SC')),
        [],
      );
    } finally {
      await plain.close();
      powerShell.use(pair.hyperV);
    }
  });

  it('turns replication round and fails back to the VM network that the former primary stood on', async () => {
    await failOver();
    await recovery().startVm(replica, act());
    await primary().stopVm(ref, act());
    await primary().becomeReplica(ref, act());
    assert.deepEqual((await viewOf(pair.primary, ref)).networkIds, []);
    await recovery().reverseReplication(replica, (await targets()).back, policy, act());
    await primary().configureReplica(ref, [], act());
    await recovery().startInitialReplication(replica, firstCopyNow, act());
    await pair.until(async () => (await viewOf(pair.primary, ref)).replication.state === 'replicating');
    await later();
    await primary().startFailover(ref, null, act());
    assert.deepEqual((await viewOf(pair.primary, ref)).networkIds, [pair.primary.networkId]);
    assert.deepEqual(atPrimary.grants, [], 'it has the address that it had');
  });
});
