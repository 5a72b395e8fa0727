/** The Hyper-V fabric where cmdlets lie, fail, hang, and where hosts go: through the real module in the real PowerShell engine. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { JobId, PairingId, VmId, type VmRef } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { pairingId, policy, walkOf } from '../contract/contract-walk.ts';
import type { CmdletFault } from '../support/emulated-hyperv/emulated-hyperv.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { configOf, type EmulatedPowerShell, fabricOf } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const drill = JobId.parse('0d000000-0000-4000-8000-000000000001');

describe('the Hyper-V fabric', { skip: typeof found === 'string' ? found : false }, () => {
  let powerShell: EmulatedPowerShell;
  let pair: EmulatedPair;
  const { act, targets, enable, replicate, viewOf, later } = walkOf(() => pair);
  let ref: VmRef;
  let replica: VmRef;
  const carried = mkdtempSync(path.join(tmpdir(), 'farshore-carried-'));
  const primary = () => pair.primary.fabric;
  const recovery = () => pair.recovery.fabric;

  after(() => rmSync(carried, { recursive: true, force: true }));
  pairForEach(
    found,
    (opened, engine) => {
      pair = opened;
      powerShell = engine;
      [ref] = pair.vms;
      replica = { cloudId: pair.recovery.cloudId, vmId: ref.vmId };
    },
    { edition: 'Core' },
  );

  const failOver = async () => {
    await replicate(ref);
    await recovery().startFailover(replica, null, act());
  };
  const prepared = async () => {
    await replicate(ref);
    await later();
    await primary().stopVm(ref, act());
    await primary().prepareFailover(ref, act());
  };
  const copied = async () => {
    await replicate(ref);
    await recovery().startTestFailover(replica, null, act());
  };

  interface Case {
    readonly cmdlet: string;
    readonly arrange: () => Promise<unknown>;
    readonly call: () => Promise<unknown>;
  }

  const cases: Readonly<Record<string, Case>> = {
    'writes an epoch': { cmdlet: 'Set-VM', arrange: async () => {}, call: () => primary().writeEpoch(ref, 3, act()) },
    'stops a VM': { cmdlet: 'Stop-VM', arrange: async () => {}, call: () => primary().stopVm(ref, act()) },
    'starts a VM': { cmdlet: 'Start-VM', arrange: failOver, call: () => recovery().startVm(replica, act()) },
    'prepares hosts': { cmdlet: 'Set-VMReplicationServer', arrange: async () => {}, call: targets },
    'authorises servers': { cmdlet: 'New-VMReplicationAuthorizationEntry', arrange: async () => {}, call: targets },
    'imports a certificate': { cmdlet: 'Import-PfxCertificate', arrange: async () => {}, call: targets },
    'enables replication': { cmdlet: 'Enable-VMReplication', arrange: targets, call: () => enable(ref) },
    'begins the first copy': {
      cmdlet: 'Start-VMInitialReplication',
      arrange: () => enable(ref),
      call: () => primary().startInitialReplication(ref, firstCopyNow, act()),
    },
    'plans networks': {
      cmdlet: 'Set-VM',
      arrange: () => enable(ref),
      call: () => recovery().configureReplica(replica, [{ from: pair.primary.networkId, to: pair.recovery.networkId }], act()),
    },
    'changes a policy': {
      cmdlet: 'Set-VMReplication',
      arrange: () => replicate(ref),
      call: () => primary().setReplicationPolicy(ref, { ...policy, additionalRecoveryPoints: 9 }, act()),
    },
    'takes a first copy in': {
      cmdlet: 'Import-VMInitialReplication',
      arrange: async () => {
        await enable(ref);
        await primary().startInitialReplication(ref, { how: 'export', folder: carried }, act());
      },
      call: () => recovery().importInitialReplication(replica, carried, act()),
    },
    'schedules the first copy': {
      cmdlet: 'Start-VMInitialReplication',
      arrange: () => enable(ref),
      call: () => primary().startInitialReplication(ref, { how: 'at', at: isoMoment(pair.now() + 3_600_000) }, act()),
    },
    'suspends replication': {
      cmdlet: 'Suspend-VMReplication',
      arrange: () => replicate(ref),
      call: () => primary().suspendReplication(ref, act()),
    },
    'resumes replication': {
      cmdlet: 'Resume-VMReplication',
      arrange: async () => {
        await replicate(ref);
        await recovery().suspendReplication(replica, act());
      },
      call: () => recovery().resumeReplication(replica, act()),
    },
    'removes replication': {
      cmdlet: 'Remove-VMReplication',
      arrange: () => replicate(ref),
      call: () => primary().removeReplication(ref, act()),
    },
    'deletes a VM': {
      cmdlet: 'Remove-VM',
      arrange: async () => {
        await replicate(ref);
        await recovery().removeReplication(replica, act());
      },
      call: () => recovery().deleteVm(replica, act()),
    },
    'prepares a failover': {
      cmdlet: 'Start-VMFailover',
      arrange: async () => {
        await replicate(ref);
        await primary().stopVm(ref, act());
      },
      call: () => primary().prepareFailover(ref, act()),
    },
    'fails over': { cmdlet: 'Start-VMFailover', arrange: () => replicate(ref), call: () => recovery().startFailover(replica, null, act()) },
    'takes a failover back': { cmdlet: 'Stop-VMFailover', arrange: failOver, call: () => recovery().stopFailover(replica, act()) },
    'takes a preparation back': { cmdlet: 'Stop-VMFailover', arrange: prepared, call: () => primary().stopFailover(ref, act()) },
    'completes a failover': { cmdlet: 'Complete-VMFailover', arrange: failOver, call: () => recovery().completeFailover(replica, act()) },
    'makes a replica of a primary': {
      cmdlet: 'Set-VMReplication',
      arrange: async () => {
        await failOver();
        await primary().stopVm(ref, act());
      },
      call: () => primary().becomeReplica(ref, act()),
    },
    'reverses replication': {
      cmdlet: 'Set-VMReplication',
      arrange: async () => {
        await prepared();
        await recovery().startFailover(replica, null, act());
      },
      call: async () => recovery().reverseReplication(replica, (await targets()).back, policy, act()),
    },
    'makes a test copy': {
      cmdlet: 'Start-VMFailover',
      arrange: () => replicate(ref),
      call: () => recovery().startTestFailover(replica, null, act()),
    },
    'connects a test copy': {
      cmdlet: 'Connect-VMNetworkAdapter',
      arrange: copied,
      call: () => recovery().connectTestCopy(replica, pair.isolatedId, act()),
    },
    'makes a network for a drill': {
      cmdlet: 'New-VMSwitch',
      arrange: async () => {},
      // As its handler asks: one host may have it by then, and the others get it when a copy there is connected.
      call: async () => {
        const made = await recovery().drillNetworks();
        if (made.length === 0) await recovery().makeDrillNetwork(drill, pair.recovery.networkId, act());
      },
    },
    'removes the network of a drill': {
      cmdlet: 'Remove-VMSwitch',
      arrange: () => recovery().makeDrillNetwork(drill, pair.recovery.networkId, act()),
      call: () => recovery().removeDrillNetwork(drill, act()),
    },
    'starts a test copy': { cmdlet: 'Start-VM', arrange: copied, call: () => recovery().startTestVm(replica, act()) },
    'removes a test copy': { cmdlet: 'Stop-VMFailover', arrange: copied, call: () => recovery().stopTestFailover(replica, act()) },
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

  it('has the network of a drill on each host that a copy stands on, also where its maker died half way', async () => {
    await copied();
    const host = (await recovery().hostOf(replica)) ?? '';
    await recovery().makeDrillNetwork(drill, pair.recovery.networkId, act());
    pair.hyperV.hosts.madeSwitches.delete(host);
    const [network] = await recovery().drillNetworks();
    assert.ok(network, 'other hosts have it');
    await recovery().connectTestCopy(replica, network.id, act());
    assert.deepEqual((await recovery().findTestCopy(replica))?.networkIds, [network.id]);
    await assert.rejects(recovery().removeDrillNetwork(drill, act()), { code: 'ERR_CONFLICT' });
  });

  it('is not held up by a cmdlet that never ends: its process is ended, and the next call has another', async () => {
    await targets();
    const hasty = fabricOf(configOf(pair.sites.primary, [pair.sites.recovery]), powerShell.host, 2_000);
    pair.hyperV.order('Stop-VM', 'hangs');
    await assert.rejects(hasty.stopVm(ref, act()), { code: 'ERR_FABRIC_TIMEOUT' });
    assert.deepEqual(pair.hyperV.fired, ['Stop-VM']);
    await primary().stopVm(ref, act());
    assert.equal((await viewOf(pair.primary, ref)).power, 'off');
  });

  it('finds what was done where the cmdlet failed after it', async () => {
    await replicate(ref);
    pair.hyperV.order('Start-VMFailover', 'failsAfter');
    await assert.rejects(recovery().startFailover(replica, null, act()), { code: 'ERR_FABRIC_FAILED' });
    const { replication, networkIds } = await viewOf(pair.recovery, replica);
    assert.deepEqual([replication.state, networkIds], ['failedOverWaitingCompletion', [pair.recovery.networkId]]);
  });

  it('knows a test copy again whose maker died before it wrote down what it is', async () => {
    await replicate(ref);
    const [point] = await recovery().recoveryPoints(replica);
    pair.hyperV.order('Start-VMFailover', 'failsAfter');
    await assert.rejects(recovery().startTestFailover(replica, null, act()), { code: 'ERR_FABRIC_FAILED' });
    assert.equal((await recovery().findTestCopy(replica))?.recoveryPoint.id, point?.id);
    await recovery().stopTestFailover(replica, act());
    assert.equal(await recovery().findTestCopy(replica), null);
  });

  it('does not take a failover back beside a test copy, since nobody knows what becomes of which', async () => {
    await copied();
    await recovery().startFailover(replica, null, act());
    await assert.rejects(recovery().stopFailover(replica, act()), { code: 'ERR_TEST_COPY_EXISTS' });
    await recovery().stopTestFailover(replica, act());
    await recovery().stopFailover(replica, act());
  });

  it('refuses by looking: no cmdlet that changes anything is called in a state that does not allow it', async () => {
    await replicate(ref);
    await later();
    const { there, back } = await targets();
    const before = pair.hyperV.changes.length;
    const [, other] = pair.vms;
    const refused: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['ERR_WRONG_STATE', () => primary().startVm(ref, act())],
      ['ERR_WRONG_STATE', () => primary().enableReplication(ref, there, policy, act())],
      ['ERR_WRONG_STATE', () => primary().prepareFailover(ref, act())],
      ['ERR_WRONG_STATE', () => primary().startFailover(ref, null, act())],
      ['ERR_WRONG_STATE', () => primary().becomeReplica(ref, act())],
      ['ERR_WRONG_STATE', () => primary().removeReplication(other, act())],
      ['ERR_WRONG_STATE', () => primary().setReplicationPolicy(other, policy, act())],
      ['ERR_WRONG_STATE', () => primary().resynchronize(ref, act())],
      ['ERR_WRONG_STATE', () => primary().resumeReplication(ref, act())],
      ['ERR_WRONG_STATE', () => primary().suspendReplication(other, act())],
      ['ERR_WRONG_STATE', () => recovery().startVm(replica, act())],
      ['ERR_WRONG_STATE', () => recovery().stopVm(replica, act())],
      ['ERR_WRONG_STATE', () => recovery().deleteVm(replica, act())],
      ['ERR_WRONG_STATE', () => recovery().completeFailover(replica, act())],
      ['ERR_WRONG_STATE', () => recovery().reverseReplication(replica, back, policy, act())],
      ['ERR_NO_RECOVERY_POINT', () => recovery().startFailover(replica, 'none', act())],
      ['ERR_NO_RECOVERY_POINT', () => recovery().startTestFailover(replica, 'none', act())],
      ['ERR_NO_TEST_COPY', () => recovery().startTestVm(replica, act())],
      ['ERR_NETWORK_NOT_FOUND', () => recovery().connectTestCopy(replica, pair.primary.networkId, act())],
      ['ERR_NOT_PREPARED', () => primary().enableReplication(other, { ...there, cloudId: pair.primary.cloudId }, policy, act())],
      ['ERR_VM_NOT_FOUND', () => primary().startVm({ ...ref, vmId: VmId.parse('00000000-0000-4000-8000-000000000000') }, act())],
      ['ERR_CLOUD_NOT_FOUND', () => primary().startVm({ ...ref, cloudId: pair.recovery.cloudId }, act())],
    ];
    for (const [code, call] of refused) await assert.rejects(call, { code });
    assert.deepEqual(pair.hyperV.changes.slice(before), []);
  });

  it('does not take the VMs of a host that is silent for gone, and says so of each call', async () => {
    const { cursor, vms } = await primary().readInventory(null);
    const host = (await primary().hostOf(ref))?.split('.')[0] ?? '';
    const fault = pair.sites.primary.site.faults.order({ kind: 'hostDies', host });
    const dark = await primary().readInventory(cursor);
    assert.deepEqual([dark.full, dark.removedVms], [false, []]);
    assert.deepEqual(dark.vms.find((vm) => vm.ref.vmId === ref.vmId)?.power, 'critical');
    await assert.rejects(primary().findVm(ref), { code: 'ERR_HOST_DOWN' });
    await assert.rejects(primary().startVm(ref, act()), { code: 'ERR_HOST_DOWN' });
    const another = fabricOf(configOf(pair.sites.primary, []), powerShell.host);
    await assert.rejects(another.readInventory(null), { code: 'ERR_HOST_DOWN' }, 'what stands on it is not known at all');
    pair.sites.primary.site.faults.lift(fault);
    assert.equal((await another.readInventory(null)).vms.length, vms.length);
  });

  it('brings a primary back into step after its host crashed', async () => {
    await replicate(ref);
    const host = (await primary().hostOf(ref))?.split('.')[0] ?? '';
    const { faults } = pair.sites.primary.site;
    faults.lift(faults.order({ kind: 'hostDies', host }));
    assert.equal((await viewOf(pair.primary, ref)).replication.state, 'waitingForStartResynchronize');
    await primary().resynchronize(ref, act());
    await pair.until(async () => (await viewOf(pair.primary, ref)).replication.state === 'replicating');
  });

  it('tells the groups of a VM as its tags', async () => {
    const { site, definition } = pair.sites.primary;
    const [made] = definition.vms;
    assert.ok(made);
    const id = VmId.parse('0e000000-0000-4000-8000-000000000001');
    site.addVm({ ...made, id, name: 'tagged', tags: ['web', 'gold'] });
    assert.deepEqual((await primary().findVm({ ...ref, vmId: id }))?.tags, ['web', 'gold']);
    const { vms } = await primary().readInventory(null);
    assert.deepEqual(vms.map(({ tags }) => tags.length).sort(), [0, 0, 2]);
  });

  it('leaves what people wrote into the notes of a VM, and what they name a VM is never a command', async () => {
    const vm = await pair.hyperV.hosts.find(pair.sites.primary, ref);
    assert.ok(vm);
    const notes = `Owner: O'Neil "$(throw 'ran')"\r\n; Remove-VM *`;
    pair.hyperV.hosts.setNotes(vm, notes);
    await primary().writeEpoch(ref, 5, act());
    await primary().writeEpoch(ref, 6, act());
    assert.equal(pair.hyperV.hosts.notes(vm), `${notes}\r\n[farshore] epoch/${ref.cloudId}=6`);
  });

  it('keeps the entries of a peer while another pairing needs them', async () => {
    await targets();
    const side = pair.recovery;
    const second = PairingId.parse('11111111-1111-4111-8111-111111111111');
    const certificates = await side.issue(await side.fabric.replicationHosts(side.cloudId));
    const peer = { siteId: pair.primary.siteId, cloudId: pair.primary.cloudId };
    const given = { cloudId: side.cloudId, authentication: 'certificate', port: null, certificates, rootPem: 'x', peer } as const;
    await side.fabric.prepareHosts({ ...given, pairingId: second }, act());
    await side.fabric.releaseHosts(second, side.cloudId, act());
    await enable(ref);
    await side.fabric.releaseHosts(pairingId, side.cloudId, act());
    await side.fabric.releaseHosts(pairingId, side.cloudId, act());
    const [, other] = pair.vms;
    await assert.rejects(enable(other), { code: 'ERR_FABRIC_FAILED' });
  });

  it('knows no function but those that it is given', async () => {
    const call = (name: string) => powerShell.host.call({ function: name, arguments: {}, limitMs: 30_000 });
    for (const name of ['Get-VM', 'Find-Machine', 'Invoke-Expression', '', 'Get-FarshoreVM; Get-VM'])
      await assert.rejects(call(name), /has no function/);
  });
});
