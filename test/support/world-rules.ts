/** Protection rules in a world, as the API adds them, and VMs that somebody makes at Reading meanwhile. */
import assert from 'node:assert/strict';
import type { RuleMatch } from '../../shared/domain/protection-rules.ts';
import { RuleId, UserId, VmId } from '../../shared/ids.ts';
import { uuidOf } from './simulated-sites.ts';
import type { World } from './world.ts';
import { vaultId } from './world-core.ts';

/** For the first pairing where none is named. */
export async function addRule(world: World, match: RuleMatch, of?: string): Promise<RuleId> {
  const { store, bell } = world.controlPlane;
  const pairing = (await world.pairings()).find(({ state, name }) => state === 'paired' && name === (of ?? name));
  assert.ok(pairing);
  const id = RuleId.parse(uuidOf(`rule ${JSON.stringify(match)}`));
  const wanted = { createdAt: world.clock.now(), createdBy: UserId.parse(uuidOf('owner')), removedAt: null, removedBy: null };
  await store.rules.add({ id, vaultId, pairingId: pairing.id, match, ...wanted });
  bell.ring(vaultId, { type: 'rules' });
  return id;
}

export function vmAppears(world: World, name: string): void {
  const [like] = world.definition('reading').vms;
  assert.ok(like);
  world.site('reading').fabric.addVm({ ...like, id: VmId.parse(uuidOf(name)), name, adapters: [] });
  world.site('reading').noteEffects();
}
