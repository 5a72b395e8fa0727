/** How many VMs start on one host at the same time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StartTurns } from '../../provider-agent/commands/start-turns.ts';
import type { CommandId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import { AgentWorld, replica, startCommand, vmRef } from '../support/agent-world.ts';

const limited = (n: number): Command => ({
  kind: 'vm.start',
  args: { vm: vmRef(n), guestAnswersWithinSeconds: 600, startsPerHost: 2 },
});
const id = (n: number) => `job/start-${n}/1` as CommandId;

test('no more VMs than the plan says start on a host at once, hosts do not wait for each other, and each has its turn', async (t) => {
  const world = await AgentWorld.make(t);
  const ready = (n: number) => replica(n, { replication: { ...replica(n).replication, state: 'failedOverWaitingCompletion' } });
  for (let n = 1; n <= 9; n++) world.fabric.add(ready(n));
  await world.start();
  world.fabric.guestAnswersAlways = false;
  for (let n = 1; n <= 8; n++) world.send(limited(n), { commandId: id(n) });
  const running = () => [1, 2, 3, 4, 5, 6, 7, 8].filter((n) => world.fabric.view(vmRef(n)).power === 'running');
  await world.clock.until(() => running().length === 4, 'two on each host');
  await world.clock.advance(60_000);
  assert.deepEqual(running(), [1, 2, 3, 4], 'the others wait');
  world.send(startCommand(9), { commandId: id(9) });
  await world.clock.until(() => world.fabric.view(vmRef(9)).power === 'running', 'a start of another plan has no limit');
  world.fabric.guestAnswersAlways = true;
  for (let n = 1; n <= 9; n++) assert.equal((await world.outcome(id(n))).status, 'done');
});

test('a turn ends also when the start fails, and never are more inside than the limit', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 4 }), async (ends, limit) => {
      const turns = new StartTurns();
      let inside = 0;
      let most = 0;
      const all = ends.map((well) =>
        turns.run('host', limit, async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside--;
          if (!well) throw new Error('it fails');
        }),
      );
      const settled = await Promise.allSettled(all);
      assert.deepEqual(
        settled.map(({ status }) => status === 'fulfilled'),
        ends,
      );
      assert.equal(most, Math.min(limit, ends.length));
    }),
    { numRuns: 50 },
  ));
