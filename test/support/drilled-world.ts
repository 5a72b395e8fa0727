/** A world with a plan that is drilled every day by itself, on a network of its own, and whose copies stand for half an hour. */

import { drillHandlers } from '../../control-plane/api/drill-handlers.ts';
import { cleanUpOf, type DrilledPlan, drilledPlans, drillOf } from '../../control-plane/operations/drill-schedules.ts';
import type { DrillScheduleAnswer } from '../../shared/api/drills.ts';
import type { DrillSchedule } from '../../shared/domain/drill-schedule.ts';
import type { JobId } from '../../shared/ids.ts';
import { World } from './world.ts';
import { vaultId } from './world-core.ts';

export const MINUTE = 60_000;
export const DAY = 86_400_000;

const daily: DrillSchedule = { everyDays: 1, standsMinutes: 30, makeNetworksLike: ['slough/LAN'] };

/** One VM that is protected, in a world that can be put away. */
export async function worldToDrill(): Promise<World> {
  const world = await World.make({ vms: 1 });
  await world.pair();
  await world.protect();
  return world;
}

/** Everything is off until shortly before that moment: a day that is played through takes minutes. */
export async function shortlyBefore(moment: number, world: World): Promise<World> {
  return World.from({ ...(await world.asTemplate()), now: moment - 2 * MINUTE });
}

export const drilledPlan = (world: World, over: Partial<DrillSchedule> = {}) =>
  world.planOf([{ name: 'shop', members: [{ vm: 'vm-1' }] }], { drill: { ...daily, ...over } });

/** As the control plane sees it now. */
export async function drilled(world: World): Promise<DrilledPlan> {
  const [found] = await drilledPlans(vaultId, world.controlPlane.store);
  if (found === undefined) throw new Error('no plan is drilled');
  return found;
}

/** The job that is started when the drill is due that is due next, and the clean-up that follows. */
export async function nextDrill(world: World): Promise<{ readonly drill: JobId; readonly cleanUp: JobId; readonly dueAt: number }> {
  const { plan, dueAt } = await drilled(world);
  const drill = drillOf(plan, dueAt);
  return { drill, cleanUp: cleanUpOf(drill), dueAt };
}

/** As people are shown it. */
export async function scheduleOf(world: World): Promise<DrillScheduleAnswer> {
  const { store, runner } = world.controlPlane;
  const handlers = drillHandlers({ store, operations: runner, clock: world.clock } as never);
  const { schedules } = await handlers.listDrillSchedules({ caller: { vaultId } } as never);
  return schedules[0] as never;
}
