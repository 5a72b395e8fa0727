/** Commands on their way to several agents: a long queue for one does not keep another waiting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandQueue } from '../../control-plane/channel/command-queue.ts';
import type { AgentId } from '../../shared/ids.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import { systemRandom } from '../../shared/system-ports.ts';

const uuid = () => systemRandom.uuid();

function commands(count: number): CommandToSend[] {
  return Array.from({ length: count }, (_, n) => ({
    commandId: `${uuid()}/step/${n}` as never,
    vaultId: uuid() as never,
    jobId: uuid() as never,
    stepId: `start/${n}` as never,
    epoch: 1,
    deadline: 1,
    command: { kind: 'failover.commit', args: { vm: { cloudId: uuid() as never, vmId: uuid() as never } } },
  }));
}

test('one command for one agent leaves while ten thousand for another have hardly begun to', () => {
  const turns: (() => void)[] = [];
  const sent: string[] = [];
  const queue = (name: string) =>
    new CommandQueue({
      agentId: uuid() as AgentId,
      link: {
        send: (text: string) => {
          for (const _ of (JSON.parse(text) as { envelopes: unknown[] }).envelopes) sent.push(name);
        },
        waitingBytes: 0,
        ping: () => {},
        close: () => {},
      },
      signer: { issuer: '00112233445566ff', sign: () => 's'.repeat(86) },
      clock: { now: () => 0, after: () => () => {} },
      log: { info: () => {}, warn: () => {}, error: () => assert.fail('nothing is too large') },
      defer: (callback) => turns.push(callback),
      lastSequence: 0,
    });
  queue('many').add(commands(10_000));
  queue('one').add(commands(1));
  for (let turn = turns.shift(); turn !== undefined && !sent.includes('one'); turn = turns.shift()) turn();
  assert.ok(sent.includes('one'));
  assert.ok(sent.length <= 101, `${sent.length} were sent before it`);
});
