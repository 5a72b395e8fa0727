import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type CompiledGroup, compileFailover } from '../../shared/domain/plan-compiler.ts';
import { Engine } from '../../shared/engine/engine.ts';
import { checkGraph, type Graph } from '../../shared/engine/graph.ts';
import type { ProtectedVmId, StepId } from '../../shared/ids.ts';
import { EngineWorld } from '../support/engine-world.ts';

const vmId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as ProtectedVmId;

function plan(sizes: readonly number[]): CompiledGroup<string>[] {
  let n = 0;
  return sizes.map((size, group) => ({
    name: `group ${group}`,
    members: Array.from({ length: size }, () => {
      const vm = vmId(n++);
      return { vm, name: vm, prepare: `prepare ${vm}`, takeBack: `take back ${vm}`, start: `start ${vm}` };
    }),
  }));
}

const sizes = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 });

describe('the plan compiler', () => {
  test('makes a sound graph in which every member is prepared at once and started once', () =>
    fc.assert(
      fc.property(sizes, (given) => {
        const { steps } = compileFailover(plan(given));
        checkGraph({ steps });
        const count = given.reduce((sum, size) => sum + size, 0);
        const works = steps.flatMap(({ work }) => work ?? []);
        assert.equal(new Set(works).size, 2 * count);
        for (const step of steps)
          if (step.work?.startsWith('prepare')) assert.deepEqual([step.needs, step.after, step.pivot], [[], [], undefined]);
        for (const step of steps) if (step.work?.startsWith('start')) assert.equal(step.pivot, true);
      }),
    ));

  test('starts no group before every member of those before it has settled, well or not', () =>
    fc.assert(
      fc.asyncProperty(
        sizes,
        fc.infiniteStream(fc.nat()),
        fc.infiniteStream(fc.constantFrom('well', 'well', 'lasting')),
        async (given, turns, ends) => {
          const groups = plan(given);
          const graph = compileFailover(groups);
          const scripts = new Map(graph.steps.map(({ id }) => [id as string, [ends.next().value ?? 'well']] as const));
          const world = new EngineWorld({ graph, scripts, undoScripts: new Map() }, null, (count) =>
            count === 0 ? 0 : (turns.next().value ?? 0) % count,
          );
          await world.run();
          const groupOf = new Map(groups.flatMap(({ members }, index) => members.map(({ vm }) => [vm as string, index] as const)));
          const startedIn = world.log.flatMap((fact) =>
            fact.type === 'started' && fact.step.startsWith('start/') ? [groupOf.get(fact.step.slice(6)) ?? -1] : [],
          );
          assert.deepEqual(
            startedIn,
            startedIn.toSorted((a, b) => a - b),
          );
        },
      ),
      { numRuns: 60 },
    ));

  test('a plan of 10,000 VMs in 500 groups runs to its end', () => runsToItsEnd(Array.from({ length: 500 }, () => 20)));
  test('a plan of 10,000 VMs in one group runs to its end', () => runsToItsEnd([10_000]));
  test('a plan of 2,000 groups, most of them empty, runs to its end', () =>
    runsToItsEnd(Array.from({ length: 2_000 }, (_, i) => (i % 10 === 0 ? 1 : 0))));
});

/** Every step ends the moment it is handed out. */
async function runsToItsEnd(given: readonly number[]): Promise<void> {
  const graph: Graph<string> = compileFailover(plan(given));
  let facts = 0;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const engine: Engine<string> = new Engine(graph, [], {
    clock: { now: () => 0, after: () => () => {} },
    append: async (added) => {
      facts += added.length;
    },
    dispatch: (assignments) => {
      for (const { step, direction, attempt } of assignments)
        void engine.settle(step.id as StepId, direction, attempt, { ok: true, result: {} });
    },
    onHalted: (reason) => assert.fail(String(reason)),
    onEnded: resolve,
  });
  await engine.resume();
  await ended;
  const count = given.reduce((sum, size) => sum + size, 0);
  assert.equal(engine.state.state, 'succeeded');
  assert.equal(facts, 4 * count + 1, 'two facts a step, and the end');
}
