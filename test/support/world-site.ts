/**
 * One site of a world: the simulated site, which outlives everything, and the lives of its agent, which end as a power cut
 * ends them and begin on the same journal. Whatever the agent asks of the fabric is noted in the trace.
 */
import type { Dial } from '../../provider-agent/channel/link.ts';
import { type AgentCore, startAgentCore } from '../../provider-agent/core.ts';
import type { Act, Fabric } from '../../provider-agent/fabric/fabric.ts';
import { FabricError } from '../../provider-agent/fabric/fabric-error.ts';
import { SimulatedSite } from '../../provider-agent/fabric/simulated/simulated-site.ts';
import type { SiteDefinition } from '../../provider-agent/fabric/simulated/site-definition.ts';
import { OPERATIONS, type Operation } from '../../provider-agent/fabric/site/operation.ts';
import type { ReplicationTransport } from '../../provider-agent/fabric/site/replication-transport.ts';
import type { Journal } from '../../provider-agent/state/journal.ts';
import { openJournal } from '../../provider-agent/state/sqlite-journal.ts';
import type { AgentId, SiteId, VaultId, VmRef } from '../../shared/ids.ts';
import type { Clock, Log, Random } from '../../shared/ports.ts';
import type { Verifier } from '../../shared/protocol/envelope.ts';
import { withWrites } from './agent-journal.ts';
import { CANARY } from './checkers-metadata.ts';
import { TestNetwork } from './test-network.ts';
import { type RunScript, TestScripts } from './test-scripts.ts';
import type { Trace } from './trace.ts';
import type { Places } from './world-places.ts';

export interface WorldSitePorts {
  readonly name: string;
  readonly id: SiteId;
  readonly agentId: AgentId;
  readonly vaultId: VaultId;
  readonly definition: SiteDefinition;
  readonly siteFile: string;
  readonly journalFile: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: ReplicationTransport;
  readonly verifier: Verifier;
  readonly trace: Trace;
  readonly places: Places;
  readonly dial: Dial;
  readonly log: Log;
}

/** What people do at a site without us is done by commands that begin with it; the trace has none of them. */
export const BY_HAND = 'by-hand/';

const noted = ['begin', 'refuse', 'conclude', 'confirm', 'sawSequence'] as const;

export class WorldSite {
  readonly ports: WorldSitePorts;
  readonly fabric: SimulatedSite;
  readonly network = new TestNetwork();
  readonly scripts: TestScripts;
  #core: AgentCore | null = null;
  #journal: Journal | null = null;
  #tasksSeen = new Set<number>();
  #powerSeen = 0;
  #copiesSeen = '[]';
  #networksSeen = '[]';
  readonly #concluded = new Set<string>();
  /** Texts that the agent has noted as having left. */
  readonly ledger: string[] = [];

  static async open(ports: WorldSitePorts): Promise<WorldSite> {
    const { definition, siteFile, clock, random, transport } = ports;
    return new WorldSite(ports, await SimulatedSite.open({ definition, databaseFile: siteFile, clock, random, transport }));
  }

  private constructor(ports: WorldSitePorts, fabric: SimulatedSite) {
    this.ports = ports;
    this.fabric = fabric;
    this.scripts = new TestScripts((order) => this.#script(order));
    const known = ports.trace.events.filter((event) => 'site' in event && event.site === ports.id);
    for (const event of known) if (event.type === 'effect') this.#tasksSeen.add(event.task.seq);
    this.#powerSeen = known.filter((event) => event.type === 'power').length;
    for (const event of known) {
      if (event.type === 'copies') this.#copiesSeen = JSON.stringify(event.copies);
      if (event.type === 'drillNetworks') this.#networksSeen = JSON.stringify(event.networks);
    }
    this.noteEffects();
  }

  get isAgentUp(): boolean {
    return this.#core !== null;
  }

  async startAgent(): Promise<void> {
    if (this.#core !== null) return;
    const { agentId, vaultId, verifier, clock, random, log, dial, journalFile } = this.ports;
    const opened = await openJournal(journalFile, queueMicrotask);
    this.#journal = opened;
    this.#core = startAgentCore({
      identity: { agentId, vaultId },
      agentVersion: 'test',
      journal: this.#watched(opened),
      fabric: this.#watchedFabric(),
      verifier,
      network: this.network,
      scripts: this.scripts,
      certificates: {
        requestCsr: async () => '-----BEGIN CERTIFICATE REQUEST-----\n',
        issueHostCertificates: async (_authority, _root, hosts) =>
          hosts.map(({ host }) => ({ host, pfx: new Uint8Array([1]), passphrase: 'none' })),
      },
      dial,
      egress: { note: (text) => void this.ledger.push(text) },
      clock,
      random,
      log,
      defer: queueMicrotask,
      settings: { inventoryEveryMs: 10_000, fabricCallLimitMs: 60_000 },
    });
  }

  /** As a power cut would: what was not synced is lost, what was begun at the fabric goes on there. */
  crashAgent(): void {
    const core = this.#core;
    this.#core = null;
    this.#journal = null;
    core?.abandon();
  }

  epochOf(vm: VmRef): number {
    return this.#journal?.epochOf(vm) ?? 0;
  }

  async close(): Promise<void> {
    this.crashAgent();
    await this.fabric.close();
  }

  /** Takes over into the trace what the site's own logs have that is new. */
  noteEffects(): void {
    const { trace, id } = this.ports;
    for (const task of this.fabric.taskLog()) {
      if (!task.hadEffect || this.#tasksSeen.has(task.seq) || task.commandId.startsWith(BY_HAND)) continue;
      this.#tasksSeen.add(task.seq);
      trace.note({ type: 'effect', site: id, task });
    }
    const power = this.fabric.powerLog();
    for (const change of power.slice(this.#powerSeen)) {
      const isByHand = change.commandId?.startsWith(BY_HAND) === true;
      trace.note({ type: 'power', site: id, change: isByHand ? { ...change, cause: 'siteFile' } : change });
    }
    this.#powerSeen = power.length;
    this.#noteCopies();
  }

  #noteCopies(): void {
    const { trace, id, definition } = this.ports;
    const made = this.fabric.madeForDrills();
    const isolated = [
      ...made.map((network) => network.id),
      ...definition.networks.flatMap((network) => (network.isIsolated ? [network.id] : [])),
    ];
    const all = [...this.fabric.testCopies()];
    const copies = all.map(([replicaId, { ref, power, networkIds }]) => {
      return { vmId: ref.vmId, replicaId, power, exposedTo: networkIds.filter((network) => !isolated.includes(network)) };
    });
    if (JSON.stringify(copies) !== this.#copiesSeen) trace.note({ type: 'copies', site: id, copies });
    this.#copiesSeen = JSON.stringify(copies);
    const networks = made.map((network) => ({
      drill: network.drill,
      replicaIds: all.flatMap(([replicaId, { networkIds }]) => (networkIds.includes(network.id) ? [replicaId] : [])),
    }));
    if (JSON.stringify(networks) !== this.#networksSeen) trace.note({ type: 'drillNetworks', site: id, networks });
    this.#networksSeen = JSON.stringify(networks);
  }

  #watched(journal: Journal): Journal {
    const { places, name } = this.ports;
    const own: Record<string, unknown> = {};
    for (const write of noted) {
      own[write] = async (...args: unknown[]) => {
        await places.pass({ kind: 'journal', when: 'before', site: name, what: write });
        // Each write keeps its own arguments: they are handed through unchanged.
        await (journal[write] as (...args: unknown[]) => Promise<void>).apply(journal, args);
        this.#noteWrite(write, args);
        await places.pass({ kind: 'journal', when: 'after', site: name, what: write });
      };
    }
    // What it reads there is durable, also where nobody was told yet that the write is done.
    own.unconfirmed = () => {
      const found = journal.unconfirmed();
      for (const { commandId } of found) if (!this.#concluded.has(commandId)) this.#noteWrite('conclude', [commandId]);
      return found;
    };
    return withWrites(journal, own as Partial<Journal>);
  }

  #noteWrite(write: (typeof noted)[number], [first]: readonly unknown[]): void {
    const { trace, id } = this.ports;
    if (write === 'conclude') {
      this.#concluded.add(first as string);
      trace.note({ type: 'journal', site: id, write: 'concluded', commandId: first as string, epoch: 0, vm: null });
    }
    if (write !== 'begin' && write !== 'refuse') return;
    const { commandId, epoch, vm } = first as Parameters<Journal['begin']>[0];
    if (write === 'refuse') this.#concluded.add(commandId);
    trace.note({ type: 'journal', site: id, write: write === 'begin' ? 'began' : 'refused', commandId, epoch, vm });
  }

  /** A script has its effect at once; an agent that dies then never hears of it. */
  async #script({ name, sha256, commandId }: RunScript): Promise<void> {
    const { trace, places, id, name: site } = this.ports;
    trace.note({ type: 'script', site: id, commandId, name, sha256 });
    await places.pass({ kind: 'effect', site, what: `script ${name}` });
  }

  /** The fabric as it is, with each mutation in the trace; its errors name what must stay at the site. */
  #watchedFabric(): Fabric {
    return new Proxy(this.fabric as Fabric, {
      get: (target, name: string) => {
        const value = target[name as keyof Fabric] as (...args: unknown[]) => Promise<unknown>;
        if (typeof value !== 'function') return value;
        if (!OPERATIONS.includes(name as Operation)) return value.bind(target);
        return (...args: unknown[]) => this.#call(name as Operation, args, () => value.apply(target, args));
      },
    });
  }

  async #call(operation: Operation, args: readonly unknown[], call: () => Promise<unknown>): Promise<unknown> {
    const { trace, places, id, name } = this.ports;
    const { commandId, epoch } = args.at(-1) as Act;
    const vm = args.find((arg): arg is VmRef => typeof arg === 'object' && arg !== null && 'vmId' in arg) ?? null;
    trace.note({ type: 'call', site: id, operation, commandId, epoch, vm });
    try {
      return await call();
    } catch (thrown) {
      if (thrown instanceof FabricError) thrown.message += ` (${CANARY} on host ${CANARY}-1, D:\\${CANARY}\\disk.vhdx)`;
      throw thrown;
    } finally {
      this.noteEffects();
      await places.pass({ kind: 'effect', site: name, what: operation });
    }
  }
}
