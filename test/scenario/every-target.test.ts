/** Every operation on VMs works for one VM, for several, for a plan and for some members of a plan, and in both directions. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Direction, OperationRequest, OperationRequestOf, Target } from '../../shared/api/operations.ts';
import { VM_OPERATIONS, type VmOperation } from '../../shared/domain/protected-vm.ts';
import type { JobId } from '../../shared/ids.ts';
import { protectedWorld } from '../support/planted-scenarios.ts';
import { type SiteName, World } from '../support/world.ts';
import { stateOf } from '../support/world-views.ts';

interface Way {
  readonly direction: Direction;
  /** Where the VMs are left. */
  readonly source: SiteName;
}

const ways: readonly Way[] = [
  { direction: 'toRecovery', source: 'reading' },
  { direction: 'toPrimary', source: 'slough' },
];

/** Brings every VM where the operation may start. */
const before: { readonly [K in VmOperation]: (world: World, way: Way) => Promise<unknown> } = {
  plannedFailover: async () => {},
  unplannedFailover: async (world, { source }) => world.goesDark(source),
  takeBack: failOver,
  changeRecoveryPoint: failOver,
  commit: failOver,
  reverseReplication: async (world, way) => {
    await failOver(world, way);
    await world.commit();
  },
  resynchronize: async (world, { source }) => {
    for (const { vmId } of await world.protectedVms()) await world.hostOfCrashes(source, vmId);
  },
  importFirstCopy: async () => {},
  suspend: async () => {},
  resume: async (world) => world.suspend(),
  testFailover: async () => {},
  cleanUpTest: async (world) => world.drill(),
  unprotect: async () => {},
};

async function failOver(world: World, { direction }: Way): Promise<void> {
  await world.failOverAsPlanned(undefined, direction);
}

/** Three VMs whose first copies were exported. */
async function exportedWorld(): Promise<World> {
  const world = await World.make({ vms: 3 });
  await world.pair();
  const request = (await world.protectRequest()) as OperationRequestOf<'protect'>;
  await world.settles(await world.ask({ ...request, firstCopy: { how: 'export', folder: world.carried } }));
  return world;
}

async function worldFor(kind: VmOperation, way: Way): Promise<World> {
  if (kind === 'importFirstCopy') return exportedWorld();
  const world = await protectedWorld({ vms: 3 });
  if (way.direction === 'toPrimary') {
    await world.failOverAsPlanned();
    await world.commit();
    await world.reverseReplication();
    await world.clock.advance(65_000);
  }
  await before[kind](world, way);
  return world;
}

const targets: Readonly<Record<string, (world: World) => Promise<{ readonly target: Target; readonly names: readonly string[] }>>> = {
  'one VM': async (world) => ({ target: { vms: await idsOf(world, ['vm-2']) }, names: ['vm-2'] }),
  'several VMs': async (world) => ({ target: { vms: await idsOf(world, ['vm-1', 'vm-3']) }, names: ['vm-1', 'vm-3'] }),
  'a plan': async (world) => ({ target: await world.plan([['vm-1', 'vm-3'], ['vm-2']]), names: ['vm-1', 'vm-2', 'vm-3'] }),
  'some members of a plan': async (world) => ({
    target: { ...((await world.plan([['vm-1', 'vm-3'], ['vm-2']])) as { plan: never }), only: await idsOf(world, ['vm-2', 'vm-3']) },
    names: ['vm-2', 'vm-3'],
  }),
};

const idsOf = async (world: World, names: readonly string[]) =>
  (await world.protectedVms()).filter(({ name }) => names.includes(name)).map(({ id }) => id);

/** A drill is cleaned up as a whole, so its target is the drill. */
async function requestFor(world: World, kind: VmOperation, target: Target, { direction }: Way): Promise<OperationRequest> {
  if (kind !== 'cleanUpTest') return world.requestFor(kind, target, direction);
  return world.cleanUpRequest((await world.protectedVms())[0]?.drill as JobId);
}

/** Those whose phase or drill is another than before, by name. */
async function changed(world: World, was: Awaited<ReturnType<typeof world.protectedVms>>): Promise<string[]> {
  const now = new Map((await world.protectedVms()).map((vm) => [vm.id, vm]));
  return was
    .filter(({ id, phase, drill, replicatesFrom }) => {
      const vm = now.get(id);
      return vm?.phase !== phase || vm.drill !== drill || vm.replicatesFrom !== replicatesFrom;
    })
    .map(({ name }) => name)
    .sort();
}

/** They begin and end in the same phase. */
const keepThePhase: readonly VmOperation[] = ['changeRecoveryPoint', 'suspend', 'resume', 'resynchronize'];

describe('every operation, for every target and in both directions', () => {
  for (const kind of VM_OPERATIONS) {
    // What was reversed is compared over the network: only a protection begins with a copy that is carried.
    for (const way of kind === 'importFirstCopy' ? ways.slice(0, 1) : ways) {
      test(`${kind} ${way.direction}`, async (t) => {
        const template = await (await worldFor(kind, way)).asTemplate();
        t.after(() => rmSync(template.folder, { recursive: true, force: true }));
        for (const [title, of] of Object.entries(targets)) {
          const world = await World.from(template);
          const { target, names } = await of(world);
          const was = await world.protectedVms();
          if (kind === 'unplannedFailover') world.goesDark(way.source);
          const job = await world.ask(await requestFor(world, kind, target, way));
          await world.settles(job);
          assert.equal(await stateOf(world, job), 'succeeded', title);
          const expected = keepThePhase.includes(kind) ? [] : kind === 'cleanUpTest' ? ['vm-1', 'vm-2', 'vm-3'] : names;
          assert.deepEqual(await changed(world, was), expected, title);
          await world.finishes();
        }
      });
    }
  }
});
