import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { InMemoryReplicationNetwork } from '../../provider-agent/fabric/simulated/in-memory-transport.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import { defaultPolicy, settingsOf } from '../../shared/domain/policy.ts';
import { SiteId } from '../../shared/ids.ts';
import type { Command } from '../../shared/protocol/commands.ts';
import type { Outcome } from '../../shared/protocol/egress.ts';
import { VirtualClock } from '../support/agent-clock.ts';
import { AgentWorld } from '../support/agent-world.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { definition, generated, pairingId, uuidOf } from '../support/simulated-sites.ts';

const pem = '-----BEGIN CERTIFICATE-----\n';
let commandCount = 0;

/** Two sites that replicate in memory, each with its agent, and a control plane that sends one command after another. */
class Pair {
  readonly #agents: { readonly primary: AgentWorld; readonly recovery: AgentWorld };
  readonly primary: SimulatedSite;
  readonly recovery: SimulatedSite;

  static async open(t: TestContext): Promise<Pair> {
    const clock = new VirtualClock();
    const network = new InMemoryReplicationNetwork();
    const open = (name: 'reading' | 'slough', clouds: Record<string, string>) => {
      const transport = network.join(SiteId.parse(uuidOf(name)));
      return SimulatedSite.open({
        definition: definition(name, clouds),
        databaseFile: ':memory:',
        clock,
        random: new SeededRandom(1),
        transport,
      });
    };
    const primary = await open('reading', { Gold: generated('Gold', 1, 'web-{0}') });
    const recovery = await open('slough', { Silver: '' });
    const agents = {
      primary: await AgentWorld.make(t, { site: { fabric: primary, clock } }),
      recovery: await AgentWorld.make(t, { site: { fabric: recovery, clock } }),
    };
    t.after(async () => {
      await primary.close();
      await recovery.close();
    });
    await agents.primary.start();
    await agents.recovery.start();
    return new Pair(agents, primary, recovery);
  }

  constructor(agents: { primary: AgentWorld; recovery: AgentWorld }, primary: SimulatedSite, recovery: SimulatedSite) {
    this.#agents = agents;
    this.primary = primary;
    this.recovery = recovery;
  }

  async ask(side: 'primary' | 'recovery', command: Command, epoch = 0): Promise<Outcome> {
    const commandId = `job/step/${++commandCount}`;
    this.#agents[side].send(command, { commandId: commandId as never, epoch });
    return this.#agents[side].outcome(commandId);
  }

  /** Asks twice, under two ids, as a retry does; both must be done. */
  async done(side: 'primary' | 'recovery', command: Command, epoch = 0): Promise<Extract<Outcome, { status: 'done' }>> {
    const first = await this.ask(side, command, epoch);
    const retry = await this.ask(side, command, epoch);
    assert.deepEqual([first.status, retry.status], ['done', 'done'], `${command.kind}: ${JSON.stringify([first, retry])}`);
    return first as Extract<Outcome, { status: 'done' }>;
  }

  /** The hosts of both clouds are prepared for each other. */
  async prepared() {
    const [gold] = (await this.primary.readInventory(null)).clouds;
    const [silver] = (await this.recovery.readInventory(null)).clouds;
    const [vm] = (await this.primary.readInventory(null)).vms;
    assert.ok(gold && silver && vm);
    const [primarySite, recoverySite] = [SiteId.parse(uuidOf('reading')), SiteId.parse(uuidOf('slough'))];
    const prepare = { pairingId, authentication: 'certificate', port: null, authority: pem, root: pem } as const;
    await this.done('primary', {
      kind: 'hosts.prepare',
      args: { ...prepare, cloudId: gold.id, peer: { siteId: recoverySite, cloudId: silver.id } },
    });
    const prepared = await this.done('recovery', {
      kind: 'hosts.prepare',
      args: { ...prepare, cloudId: silver.id, peer: { siteId: primarySite, cloudId: gold.id } },
    });
    assert.ok(prepared.kind === 'hosts.prepare');
    const target = { siteId: recoverySite, cloudId: silver.id, address: prepared.result.address };
    return { vm, gold, silver, replica: { cloudId: silver.id, vmId: vm.ref.vmId }, target };
  }

  sentBytes(): string {
    return [...this.#agents.primary.sentTexts, ...this.#agents.recovery.sentTexts].join('\n');
  }
}

test('the handlers take a VM from pairing to a committed failover on simulated sites, every command asked for twice', async (t) => {
  const pair = await Pair.open(t);
  const { vm, replica, target } = await pair.prepared();
  await pair.done('primary', { kind: 'replication.enable', args: { vm: vm.ref, target, policy: defaultPolicy } }, 1);
  await pair.done('recovery', { kind: 'replica.configure', args: { vm: replica, networks: [] } }, 1);
  await pair.done('primary', { kind: 'replication.seed', args: { vm: vm.ref } }, 1);
  const copied = await pair.done('primary', { kind: 'wait.copied', args: { vm: vm.ref } }, 1);
  assert.ok(copied.kind === 'wait.copied' && copied.result.recoveryPointAt > '2026');

  const executed = await pair.done('recovery', { kind: 'failover.execute', args: { vm: replica, recoveryPoint: { choose: 'latest' } } }, 2);
  const [point] = await pair.recovery.recoveryPoints(replica);
  assert.equal(executed.kind === 'failover.execute' && executed.result.recoveryPointId, point?.id);
  await pair.done('recovery', { kind: 'vm.start', args: { vm: replica, guestAnswersWithinSeconds: 300 } }, 2);
  const started = await pair.recovery.findVm(replica);
  assert.deepEqual([started?.power, started?.epoch], ['running', 2]);

  await pair.done('recovery', { kind: 'failover.commit', args: { vm: replica } }, 2);
  const late = await pair.ask('recovery', { kind: 'failover.cancel', args: { vm: replica } }, 2);
  assert.equal('code' in late && late.code, 'ERR_WRONG_STATE');
  const lost = await pair.ask('recovery', { kind: 'replica.remove', args: { vm: replica, deleteReplica: true } }, 2);
  assert.equal('code' in lost && lost.code, 'ERR_WRONG_STATE', 'a replica that production runs on is not deleted');
  assert.equal(pair.recovery.powerLog().filter(({ change }) => change === 'on').length, 1);
});

test('a first copy whose moment passed while the agent was away begins at once, and no fabric is asked for a moment in the past', async (t) => {
  const pair = await Pair.open(t);
  const { vm, target } = await pair.prepared();
  await pair.done('primary', { kind: 'replication.enable', args: { vm: vm.ref, target, policy: defaultPolicy } }, 1);
  const started = t.mock.method(pair.primary, 'startInitialReplication');
  await pair.done('primary', { kind: 'replication.seed', args: { vm: vm.ref, firstCopy: { how: 'at', at: '2020-01-01T00:00:00Z' } } }, 1);
  assert.deepEqual(
    started.mock.calls.map(({ arguments: [, firstCopy] }) => firstCopy),
    [{ how: 'now' }],
  );
});

test('a failover is taken back, and protection ends with the replica deleted', async (t) => {
  const pair = await Pair.open(t);
  const { vm, gold, silver, replica, target } = await pair.prepared();
  await pair.done('primary', { kind: 'replication.enable', args: { vm: vm.ref, target, policy: defaultPolicy } }, 1);
  await pair.done('primary', { kind: 'replication.seed', args: { vm: vm.ref } }, 1);
  await pair.done('primary', { kind: 'wait.copied', args: { vm: vm.ref } }, 1);

  await pair.done('recovery', { kind: 'failover.execute', args: { vm: replica, recoveryPoint: { choose: 'latest' } } }, 2);
  await pair.done('recovery', { kind: 'failover.cancel', args: { vm: replica } }, 3);
  assert.equal((await pair.recovery.findVm(replica))?.replication.state, 'replicating');

  await pair.done('primary', { kind: 'replication.disable', args: { vm: vm.ref } }, 3);
  await pair.done('recovery', { kind: 'replica.remove', args: { vm: replica, deleteReplica: true } }, 3);
  assert.equal(await pair.recovery.findVm(replica), null);
  await pair.done('primary', { kind: 'hosts.release', args: { pairingId, cloudId: gold.id } });
  await pair.done('recovery', { kind: 'hosts.release', args: { pairingId, cloudId: silver.id } });
  assert.equal((await pair.primary.findVm(vm.ref))?.power, 'running');
  assert.doesNotMatch(pair.sentBytes(), /reading-1|slough-1|\.example/, 'names of hosts stay at the sites');
});

test('only what replicates with the settings that were reported is adopted, and only where the replica holds what was sent', async (t) => {
  const pair = await Pair.open(t);
  const { vm, replica, target } = await pair.prepared();
  const admit = (side: 'primary' | 'recovery', over: object) =>
    pair.ask(side, {
      kind: 'replication.admitAdoption',
      args: { vm: vm.ref, role: 'primary', settings: settingsOf(defaultPolicy), pointAt: null, ...over },
    });
  const codeOf = (outcome: Outcome) => ('code' in outcome ? outcome.code : outcome.status);
  assert.equal(codeOf(await admit('primary', {})), 'ERR_WRONG_STATE', 'it does not replicate yet');
  await pair.done('primary', { kind: 'replication.enable', args: { vm: vm.ref, target, policy: defaultPolicy } });
  assert.equal(codeOf(await admit('primary', {})), 'ERR_WRONG_STATE', 'there is no first copy yet');
  await pair.done('primary', { kind: 'replication.seed', args: { vm: vm.ref } });
  await pair.done('primary', { kind: 'wait.copied', args: { vm: vm.ref } });

  const found = await admit('primary', {});
  assert.ok(found.status === 'done' && found.kind === 'replication.admitAdoption');
  const { pointAt } = found.result;
  assert.ok(pointAt);
  assert.equal(codeOf(await admit('recovery', { vm: replica, role: 'replica', settings: null, pointAt })), 'done');
  assert.equal(codeOf(await admit('recovery', { vm: replica, settings: null })), 'ERR_WRONG_STATE', 'it is the replica, not the primary');
  const changed = { ...settingsOf(defaultPolicy), compression: false };
  assert.equal(codeOf(await admit('primary', { settings: changed })), 'ERR_SETTINGS_DIFFER');
  const later = new Date(Date.parse(pointAt) + 1000).toISOString();
  const elsewhere = await admit('recovery', { vm: replica, role: 'replica', settings: null, pointAt: later });
  assert.equal(codeOf(elsewhere), 'ERR_NOT_A_PAIR', 'the replica is of another replication');
});
