/** A drill by itself: its graph, its verdict, and how its handlers look before they act. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { verdictOf } from '../../shared/domain/drill.ts';
import { compileDrill } from '../../shared/domain/drill-graph.ts';
import { checkGraph } from '../../shared/engine/graph.ts';
import type { JobId, NetworkId, VmId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { AgentWorld, replica, vmRef } from '../support/agent-world.ts';

const ref = vmRef(1);
const drill = '0d000000-0000-4000-8000-00000000000d' as JobId;
const network = '0a000000-0000-4000-8000-00000000000b' as NetworkId;
const other = '0a000000-0000-4000-8000-00000000000c' as NetworkId;
const recoveryPoint = { id: 'p1', at: Date.parse('2026-11-23T07:59:00Z'), kind: 'crashConsistent' as const };
const copy = { ref: { ...ref, vmId: '0c0b0000-0000-4000-8000-000000000001' as VmId }, name: 'vm - Test', recoveryPoint };
const start: Command = { kind: 'drill.start', args: { vm: ref, network, guestAnswersWithinSeconds: 60 } };

async function agent(t: TestContext): Promise<AgentWorld> {
  const world = await AgentWorld.make(t, {});
  world.fabric.add(replica(1, { replication: { ...replica(1).replication, lastPointAt: 0 } }));
  world.fabric.points.set(ref.vmId, [recoveryPoint]);
  await world.start();
  return world;
}

test('a copy is not started when its network has got a way out since it was connected', async (t) => {
  const world = await agent(t);
  world.fabric.copies.set(ref.vmId, { ...copy, power: 'off', networkIds: [network] });
  world.fabric.exposure = { leadsOut: true, otherVms: 0 };
  world.send(start);
  const outcome = await world.outcome();
  assert.deepEqual([outcome.status, outcome.status === 'failed' && outcome.code], ['failed', 'ERR_NETWORK_NOT_ISOLATED']);
  assert.equal(world.fabric.count('startTestVm'), 0);
});

test('a copy is not started where another VM is, or where somebody has connected it to another network', async (t) => {
  for (const [networkIds, otherVms] of [
    [[network], 1],
    [[network, other], 0],
  ] as const) {
    const world = await agent(t);
    world.fabric.copies.set(ref.vmId, { ...copy, power: 'off', networkIds });
    world.fabric.exposure = { leadsOut: false, otherVms };
    world.send(start);
    const outcome = await world.outcome();
    assert.equal(outcome.status === 'failed' && outcome.code, 'ERR_NETWORK_NOT_ISOLATED');
    assert.equal(world.fabric.count('startTestVm'), 0);
  }
});

test('a copy that was made by hand is not taken for that of the drill', async (t) => {
  const world = await agent(t);
  world.fabric.copies.set(ref.vmId, { ...copy, power: 'running', networkIds: [other] });
  world.send({ kind: 'drill.admit', args: { vm: ref, recoveryPoint: { choose: 'latest' }, network } });
  const outcome = await world.outcome();
  assert.equal(outcome.status === 'failed' && outcome.code, 'ERR_TEST_COPY_EXISTS');
});

test('a clean-up where no copy is has nothing to do, and touches no replica', async (t) => {
  const world = await agent(t);
  const before = world.fabric.view(ref);
  world.send({ kind: 'drill.cleanUp', args: { vm: ref, drill } });
  assert.equal((await world.outcome()).status, 'done');
  assert.deepEqual([world.fabric.calls, world.fabric.view(ref)], [[], before]);
});

test('the graph of a drill has no pivot, starts groups in order, and waits for dependencies without needing them', () => {
  const member = (vm: string, dependsOn: readonly string[] = []) =>
    ({ vm, name: vm, look: 'look', copy: 'copy', cleanUp: 'clean-up', connect: 'connect', start: 'start', dependsOn }) as never;
  const graph = compileDrill<string>([
    { name: 'one', members: [member('a'), member('b', ['a', 'not in it'])] },
    { name: 'two', members: [member('c')] },
  ]);
  checkGraph(graph);
  const step = (id: string) => graph.steps.find((one) => one.id === id);
  assert.ok(graph.steps.every(({ pivot }) => pivot !== true));
  assert.deepEqual([step('start/b')?.needs, step('start/b')?.after], [['connect/b'], ['start/a']]);
  assert.deepEqual([step('start/c')?.after, step('copy/c')?.after], [['group/1'], []]);
  assert.deepEqual(
    graph.steps.filter(({ undo }) => undo !== undefined).map(({ id }) => id),
    ['copy/a', 'copy/b', 'copy/c'],
  );
});

test('a drill has passed only when every copy ran, a person said so, and every copy was cleaned up', () => {
  const good = {
    hasSucceeded: true,
    hasEnded: true,
    copiesLeft: 0,
    isCleanedUp: true,
    cleanUp: { hasEnded: true, outcome: 'passed' as const },
  };
  assert.equal(verdictOf(good), 'passed');
  assert.equal(verdictOf({ ...good, hasSucceeded: false }), 'failed');
  assert.equal(verdictOf({ ...good, cleanUp: { hasEnded: true, outcome: 'failed' } }), 'failed');
  assert.equal(verdictOf({ ...good, cleanUp: null }), 'failed');
  assert.equal(verdictOf({ ...good, copiesLeft: 1 }), 'open');
  assert.equal(verdictOf({ ...good, isCleanedUp: false }), 'failed', 'a VM was unprotected by force, and its copy may still run');
  assert.equal(verdictOf({ ...good, cleanUp: { hasEnded: false, outcome: 'passed' } }), 'open');
  assert.equal(verdictOf({ ...good, hasEnded: false, cleanUp: null }), 'open');
});
