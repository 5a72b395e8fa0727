/** A pairing whose hosts prove themselves by Kerberos: no certificates, another port, another firewall rule; through the real module in the real PowerShell. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HandlerContext } from '../../provider-agent/commands/handlers.ts';
import { hostsHandlers } from '../../provider-agent/commands/hosts.ts';
import type { ReplicaTarget } from '../../provider-agent/fabric/fabric.ts';
import { policy as byCertificate, type ContractSide, pairingId, walkOf } from '../contract/contract-walk.ts';
import type { EmulatedPair } from '../support/emulated-hyperv/pair.ts';
import { pairForEach } from '../support/emulated-hyperv/pair-for-each.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const policy = { ...byCertificate, authentication: 'kerberos' as const };

describe('a pairing by Kerberos', { skip: typeof found === 'string' ? found : false }, () => {
  let pair: EmulatedPair;
  const { act, targets, viewOf, later } = walkOf(() => pair);

  pairForEach(found, (opened) => {
    pair = opened;
  });

  /** As the agent is told to, by its own handler. */
  async function prepare(side: ContractSide, other: ContractSide, port: number | null = null): Promise<ReplicaTarget> {
    const { siteId, cloudId } = other;
    const noCertificates = { requestCsr: assert.fail, issueHostCertificates: assert.fail };
    const context = { fabric: side.fabric, act: act(), certificates: noCertificates, progress: () => {} } as unknown as HandlerContext;
    const args = {
      pairingId,
      cloudId: side.cloudId,
      authentication: 'kerberos',
      port,
      authority: '',
      root: '',
      peer: { siteId, cloudId },
    } as const;
    const { address } = await hostsHandlers['hosts.prepare'](args, context);
    return { siteId: side.siteId, cloudId: side.cloudId, address };
  }

  const cmdlets = (name: string) => pair.hyperV.calls.filter(({ cmdlet }) => cmdlet === name).map(({ parameters }) => parameters);
  const servers = () => ['slough-1', 'slough-2'].map((host) => pair.hyperV.hosts.server(`${host}.slough.example`));

  it('asks for no certificate, opens the rule for HTTP, and receives on port 80', async () => {
    const { address } = await prepare(pair.recovery, pair.primary);
    assert.equal(address, 'slough-1.slough.example:80');
    for (const { isEnabled, authentication, kerberosPort, thumbprint } of servers())
      assert.deepEqual([isEnabled, authentication, kerberosPort, thumbprint], [true, 'Kerberos', 80, '']);
    assert.deepEqual([cmdlets('Import-PfxCertificate'), cmdlets('Import-Certificate')], [[], []]);
    const rules = cmdlets('Enable-NetFirewallRule').map(({ DisplayName }) => DisplayName);
    assert.deepEqual(new Set(rules.flat()), new Set(['Hyper-V Replica HTTP Listener (TCP-In)']));
    assert.equal(rules.length, 2);
  });

  it('protects, fails over as planned, and turns replication round', async () => {
    const back = await prepare(pair.primary, pair.recovery, 8080);
    const there = await prepare(pair.recovery, pair.primary, 8080);
    const [ref] = pair.vms;
    const replica = { cloudId: pair.recovery.cloudId, vmId: ref.vmId };
    const { primary, recovery } = pair;
    await primary.fabric.enableReplication(ref, there, policy, act());
    await primary.fabric.startInitialReplication(ref, { how: 'now' }, act());
    await pair.until(async () => (await viewOf(recovery, replica)).replication.state === 'replicating');
    assert.equal((await viewOf(primary, ref)).replication.settings?.authentication, 'kerberos');
    await later();
    await primary.fabric.stopVm(ref, act());
    await primary.fabric.prepareFailover(ref, act());
    await recovery.fabric.startFailover(replica, null, act());
    await recovery.fabric.startVm(replica, act());
    await recovery.fabric.completeFailover(replica, act());
    await recovery.fabric.reverseReplication(replica, back, policy, act());
    assert.deepEqual(
      [(await viewOf(recovery, replica)).replication.mode, (await viewOf(primary, ref)).replication.mode],
      ['primary', 'replica'],
    );
    for (const { AuthenticationType, CertificateThumbprint, ReplicaServerPort } of [
      ...cmdlets('Enable-VMReplication'),
      ...cmdlets('Set-VMReplication'),
    ])
      assert.deepEqual([AuthenticationType, CertificateThumbprint, ReplicaServerPort], ['Kerberos', undefined, 8080]);
  });

  it('leaves a host that takes replicas by certificate taking them so, and the other way round', async () => {
    await targets();
    await prepare(pair.recovery, pair.primary);
    for (const { authentication, port, kerberosPort } of servers())
      assert.deepEqual([authentication, port, kerberosPort], ['CertificateAndKerberos', 443, 80]);
    const [byKerberos, other] = pair.vms;
    const to = (port: number): ReplicaTarget => ({ ...pair.recovery, address: `slough-1.slough.example:${port}` });
    await prepare(pair.primary, pair.recovery);
    await pair.primary.fabric.enableReplication(byKerberos, to(80), policy, act());
    await pair.primary.fabric.enableReplication(other, to(443), byCertificate, act());
    const ways = (await pair.recovery.fabric.readInventory(null)).vms.map(({ replication }) => replication.settings?.authentication);
    assert.deepEqual(ways.sort(), ['certificate', 'kerberos']);
  });

  it('is not set up because the cmdlet says so, and is when it is asked again', async () => {
    pair.hyperV.order('Set-VMReplicationServer', 'lies');
    await assert.rejects(prepare(pair.recovery, pair.primary), { code: 'ERR_FABRIC_FAILED' });
    assert.deepEqual(pair.hyperV.fired, ['Set-VMReplicationServer'], 'the fault happened');
    await prepare(pair.recovery, pair.primary);
  });
});
