/**
 * The whole product over PowerShell: a control plane and two agents as processes of their own, whose fabric is Hyper-V. Every change goes through the real
 * module in the real engine, to an emulated Hyper-V in this process.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { VmView } from '../../provider-agent/fabric/fabric.ts';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { EmulatedHyperV } from '../support/emulated-hyperv/emulated-hyperv.ts';
import type { EmulatedSite } from '../support/emulated-hyperv/hosts.ts';
import { openEmulatedSite } from '../support/emulated-hyperv/pair.ts';
import { configOf, type EmulatedPowerShell, scvmmConfigOf, startEmulatedPowerShell } from '../support/emulated-hyperv/powershell-fabric.ts';
import { findPowerShell } from '../support/powershell/powershell.ts';
import { RealPair } from '../support/real-pair.ts';
import { definition, generated } from '../support/simulated-sites.ts';

const found = await findPowerShell();
const skip = typeof found === 'string' ? found : process.platform === 'win32' ? 'agents are given a shell script for PowerShell' : false;
const FAST = 'replication: { bandwidth: 100000 GB/s }';

const modes = [
  { name: 'plain hosts', makeConfig: configOf, own: [] },
  { name: 'with SCVMM', makeConfig: scvmmConfigOf, own: ['Set-SCCustomPropertyValue', 'Grant-SCIPAddress', 'Set-SCVirtualNetworkAdapter'] },
];

for (const { name, makeConfig, own } of modes)
  describe(`the product over PowerShell, ${name}`, { skip }, () => {
    let powerShell: EmulatedPowerShell;
    let sites: Record<'reading' | 'slough', EmulatedSite>;
    let hyperV: EmulatedHyperV;
    let pair: RealPair;
    let target: { vms: string[] };

    before(async () => {
      if (typeof found === 'string') return;
      powerShell = await startEmulatedPowerShell(found);
      const network = new InMemoryReplicationNetwork();
      const open = (site: string, clouds: Record<string, string>) =>
        openEmulatedSite(definition(site, clouds, FAST), systemClock, systemRandom, network);
      sites = { reading: await open('reading', { Gold: generated('Gold', 2) }), slough: await open('slough', { Silver: '' }) };
      hyperV = new EmulatedHyperV([sites.reading, sites.slough]);
      powerShell.use(hyperV);
      pair = await RealPair.makeWith((part, siteIds) => {
        const other = part === 'reading' ? 'slough' : 'reading';
        const config = makeConfig(sites[part], [{ ...sites[other], siteId: siteIds.get(other) as EmulatedSite['siteId'] }]);
        return `fabric: ${JSON.stringify({ ...config, powershell: powerShell.program, callsAtOnce: 2 })}\n`;
      });
      await pair.protectAll();
      target = { vms: (await pair.get<{ protectedVms: { id: string }[] }>('/protected-vms')).protectedVms.map(({ id }) => id) };
    });
    after(async () => {
      await pair?.close();
      await powerShell?.close();
      for (const { site } of Object.values(sites ?? {})) await site.close();
    });

    const viewsAt = async (part: 'reading' | 'slough'): Promise<readonly VmView[]> => (await sites[part].site.readInventory(null)).vms;
    const phases = async (part: 'reading' | 'slough') =>
      (await viewsAt(part)).map(({ power, replication: { mode, state } }) => `${power} ${mode}/${state}`);
    const succeeds = async (request: object) => {
      const { id, state } = await pair.run(request);
      assert.equal(state, 'succeeded', JSON.stringify(await pair.get(`/jobs/${id}`), null, 1));
      return id;
    };

    it('protects every VM', async () => {
      assert.deepEqual(await phases('slough'), ['off replica/replicating', 'off replica/replicating']);
    });

    it('rehearses in an isolated network, and leaves nothing behind', async () => {
      const { networks } = await pair.get<{ networks: { id: string; name: string; siteId: string; siteName: string }[] }>('/networks');
      const bubble = networks.find(({ name, siteName }) => name === 'Bubble' && siteName === 'slough');
      const drill = await succeeds({
        kind: 'testFailover',
        target,
        network: { use: 'isolated', networks: [{ siteId: bubble?.siteId, networkId: bubble?.id }] },
      });
      assert.equal(sites.slough.site.testCopies().size, 2);
      await succeeds({ kind: 'cleanUpTest', drill, outcome: 'passed', notes: 'it ran' });
      assert.equal(sites.slough.site.testCopies().size, 0);
    });

    it('fails over as planned, commits, and turns replication round', async () => {
      await succeeds({ kind: 'plannedFailover', target, reason: 'works on the power' });
      assert.deepEqual(new Set(await phases('slough')), new Set(['running replica/failedOverWaitingCompletion']));
      await succeeds({ kind: 'commit', target });
      await succeeds({ kind: 'reverseReplication', target });
      assert.deepEqual(new Set(await phases('slough')), new Set(['running primary/replicating']));
      assert.deepEqual(new Set(await phases('reading')), new Set(['off replica/replicating']));
    });

    it('fails back, and has used the cmdlets for it', async () => {
      await succeeds({ kind: 'plannedFailover', direction: 'toPrimary', target, reason: 'the power is back' });
      assert.deepEqual(new Set(await phases('reading')), new Set(['running replica/failedOverWaitingCompletion']));
      const used = new Set(hyperV.changes.map(({ cmdlet }) => cmdlet));
      for (const cmdlet of [
        ...own,
        'Enable-VMReplication',
        'Start-VMFailover',
        'Stop-VMFailover',
        'Complete-VMFailover',
        'Set-VMReplication',
      ])
        assert.ok(used.has(cmdlet), `${cmdlet} was called`);
    });
  });
