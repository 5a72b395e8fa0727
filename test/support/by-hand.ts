/**
 * What the people of two sites did before there was Farshore: hosts prepared with their own certificates, replication switched
 * on, the first copy sent. It goes straight to the sites, past every agent, and the trace of a world counts none of it as ours.
 */
import type { Act, Fabric } from '../../provider-agent/fabric/fabric.ts';
import { firstCopyNow } from '../../shared/domain/first-copy.ts';
import { defaultPolicy, type ProtectionPolicy } from '../../shared/domain/policy.ts';
import { CommandId, PairingId, type VmRef } from '../../shared/ids.ts';
import { preparation, uuidOf } from './simulated-sites.ts';
import type { SiteName, World } from './world.ts';
import { siteIdOf } from './world-core.ts';
import { BY_HAND } from './world-site.ts';

/** Of the people's own certificates; no pairing of ours has it. */
const theirPairing = PairingId.parse(uuidOf('by hand'));

let acts = 0;
const act = (): Act => ({ commandId: CommandId.parse(`${BY_HAND}${++acts}`), epoch: 0 });

export interface ByHand {
  /** Of the VMs of Reading; all where nothing is said. */
  readonly indices?: readonly number[];
  /** The site that sends in the end: Slough after a failover by hand that was turned round. */
  readonly from?: SiteName;
  readonly policy?: Partial<ProtectionPolicy>;
}

/** VMs that Reading made replicate, with the policy that `World.pair` pairs with where nothing else is said. */
export async function replicatesAlready(world: World, { indices, from = 'reading', policy }: ByHand = {}): Promise<void> {
  const settings = { ...defaultPolicy, copyFrequencySeconds: 30 as const, ...policy };
  const { reading, slough, addresses } = await prepareBoth(world);
  const to = { siteId: siteIdOf('slough'), cloudId: slough.cloudId, address: addresses.slough };
  for (const [index, { id: vmId }] of world.definition('reading').vms.entries()) {
    if (indices !== undefined && !indices.includes(index)) continue;
    const [here, there]: [VmRef, VmRef] = [
      { cloudId: reading.cloudId, vmId },
      { cloudId: slough.cloudId, vmId },
    ];
    await wait(world, reading.fabric.enableReplication(here, to, settings, act()));
    await wait(world, reading.fabric.startInitialReplication(here, firstCopyNow, act()));
    await world.until('the first copy has arrived', async () => (await reading.fabric.findVm(here))?.replication.state === 'replicating');
    if (from === 'reading') continue;
    await world.clock.advance(1_000);
    await wait(world, reading.fabric.stopVm(here, act()));
    await wait(world, reading.fabric.prepareFailover(here, act()));
    await wait(world, slough.fabric.startFailover(there, null, act()));
    const back = { siteId: siteIdOf('reading'), cloudId: reading.cloudId, address: addresses.reading };
    await wait(world, slough.fabric.reverseReplication(there, back, settings, act()));
    await wait(world, slough.fabric.startVm(there, act()));
  }
  for (const name of ['reading', 'slough'] as const) world.site(name).noteEffects();
  // Points come and go, and both agents have reported what there is.
  await world.clock.advance(65_000);
}

async function prepareBoth(world: World) {
  const cloudOf = (name: SiteName) => world.definition(name).clouds[0]?.id as VmRef['cloudId'];
  const end = async (name: SiteName, peer: SiteName) => {
    const { fabric } = world.site(name);
    const other = { siteId: siteIdOf(peer), cloudId: cloudOf(peer) };
    const theirs = { ...(await preparation(fabric, cloudOf(name), other)), pairingId: theirPairing };
    return { fabric: fabric as Fabric, cloudId: cloudOf(name), address: (await wait(world, fabric.prepareHosts(theirs, act()))).address };
  };
  const reading = await end('reading', 'slough');
  const slough = await end('slough', 'reading');
  return { reading, slough, addresses: { reading: reading.address, slough: slough.address } };
}

/** Whatever is asked of a site takes the time of the world. */
async function wait<T>(world: World, asked: Promise<T>): Promise<T> {
  let isOver = false;
  asked.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  await world.until('a call by hand ends', () => isOver);
  return asked;
}

/** A person ends replication of a VM of Reading at one site; at Slough the replica is deleted too. */
export async function endsReplication(world: World, site: SiteName, vmId: VmRef['vmId']): Promise<void> {
  const ref: VmRef = { cloudId: world.definition(site).clouds[0]?.id as VmRef['cloudId'], vmId };
  const { fabric } = world.site(site);
  await wait(world, fabric.removeReplication(ref, act()));
  if (site === 'slough') await wait(world, fabric.deleteVm(ref, act()));
  world.site(site).noteEffects();
}
