/** A world in which a plan of two groups was failed over and has so many minutes to be committed in. */
import type { Target } from '../../shared/api/operations.ts';
import type { JobId } from '../../shared/ids.ts';
import { protectedWorld } from './planted-scenarios.ts';
import type { World } from './world.ts';

export async function failedOverForMinutes(
  commitWithinMinutes: number,
): Promise<{ readonly world: World; readonly failover: JobId; readonly plan: Target }> {
  const world = await protectedWorld({ vms: 2 });
  const plan = await world.plan([['vm-1'], ['vm-2']], {}, { commitWithinMinutes });
  return { world, plan, failover: await world.failOverAsPlanned(plan) };
}
