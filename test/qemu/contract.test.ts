/** Sites of real machines keep the contract of the fabric port: what it says is done to QEMU, its disks and its processes. */
import { describe, it } from 'node:test';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import { NetworkId, SiteId, VmId } from '../../shared/ids.ts';
import { type Clock, pause } from '../../shared/ports.ts';
import { systemClock } from '../../shared/system-ports.ts';
import type { ContractPair, ContractSide } from '../contract/contract-walk.ts';
import { describeFabricContract } from '../contract/fabric-contract.ts';
import { describeOlderPointContract } from '../contract/fabric-contract-reversal.ts';
import { HurriedClock } from '../support/hurried-clock.ts';
import { ip, isInOwnNetwork, runInOwnNetwork, whyNoOwnNetwork } from '../support/own-network.ts';
import { whyNoQemu } from '../support/qemu-guest.ts';
import { QemuTestSite } from '../support/qemu-site.ts';
import { makeVaultCertificates } from '../support/replication-certificates.ts';
import { uuidOf } from '../support/simulated-sites.ts';
import { until } from '../support/until.ts';

const skip = (await whyNoQemu()) || (await whyNoOwnNetwork());
const certificates = makeVaultCertificates();
const LIMIT_MS = 120_000;
/** Less than any limit that an increment has: time hurries on only between looks. */
const HURRY_MS = 4_000;
const LOOK_MS = 100;

async function sideOf(made: QemuTestSite, clock: Clock): Promise<ContractSide> {
  const { name } = made;
  const siteId = SiteId.parse(uuidOf(name));
  return {
    fabric: await made.open({ clock }),
    siteId,
    cloudId: made.cloudId,
    networkId: NetworkId.parse(nameUuid(name, 'network', 'LAN')),
    issue: await (await certificates).siteIssuer(siteId),
  };
}

async function makePair(clock: Clock = systemClock, between: () => Promise<false> = async () => false): Promise<ContractPair> {
  const reading = QemuTestSite.write('reading', 'Gold', ['web', 'db'], { lan: '{ bridge: br0 }' });
  const slough = QemuTestSite.write('slough', 'Silver', [], { lan: '{ bridge: br0 }' });
  const primary = await sideOf(reading, clock);
  const [web, db] = ['web', 'db'].map((name) => ({ cloudId: primary.cloudId, vmId: VmId.parse(nameUuid('reading', 'vm', 'Gold', name)) }));
  if (web === undefined || db === undefined) throw new Error('two VMs are two VMs');
  return {
    primary,
    recovery: await sideOf(slough, clock),
    vms: [web, db],
    isolatedId: NetworkId.parse(nameUuid('slough', 'network', 'Bubble')),
    rootPem: (await certificates).rootPem,
    now: () => clock.now(),
    until: (condition) => until('the pair gets there', async () => (await condition()) || between(), LIMIT_MS),
    async close() {
      for (const site of [reading, slough]) await site.end();
    },
  };
}

describe('over real machines', { skip }, () => {
  if (!isInOwnNetwork) return void it('in network namespaces of their own', () => runInOwnNetwork(import.meta.filename));
  ip('link', 'add', 'name', 'br0', 'type', 'bridge');
  describeFabricContract('QEMU, two sites', () => makePair());
  describeOlderPointContract('QEMU, two sites', () => {
    const clock = new HurriedClock();
    return makePair(clock, async () => {
      await pause(systemClock, LOOK_MS);
      clock.hurry(HURRY_MS);
      return false;
    });
  });
});
