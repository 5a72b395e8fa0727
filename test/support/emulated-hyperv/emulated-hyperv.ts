/**
 * An emulated Hyper-V with an SCVMM at each site: the stub cmdlets of the PowerShell engine hand their bound parameters to it, and it answers out of simulated
 * sites (ADR 0027). It has no states of its own: section 3 of the facts is written once, in `provider-agent/fabric/simulated`.
 */
import { FabricError } from '../../../provider-agent/fabric/fabric-error.ts';
import { CommandId } from '../../../shared/ids.ts';
import type { CmdletAnswer, CmdletCall, CmdletError } from '../powershell/model-server.ts';
import { changes, makers } from './changes.ts';
import { clusterChanges, clusterReads } from './clusters.ts';
import { EmulatedHosts, type EmulatedSite } from './hosts.ts';
import { reads } from './reads.ts';
import { ReplicaServers } from './replica-servers.ts';
import { scChanges } from './sc-changes.ts';
import { scReads } from './sc-reads.ts';
import { EmulatedScvmm, refused } from './sc-server.ts';
import { referencesIn, StubRefusal, textIn } from './stub-call.ts';

/** Where the category is not told by a source it is ours. */
const categories: Readonly<Record<string, string>> = {
  InvalidOperation: 'InvalidOperation',
  ObjectNotFound: 'ObjectNotFound',
  AccessDenied: 'PermissionDenied',
  InvalidParameter: 'InvalidArgument',
  OperationTimeout: 'OperationTimeout',
};

/** What a cmdlet does the next time it is called, in place of what it should. */
export type CmdletFault = 'lies' | 'failsBefore' | 'failsAfter' | 'hangs';

export class EmulatedHyperV {
  readonly hosts: EmulatedHosts;
  /** One at each site, in their order. */
  readonly scvmms: readonly EmulatedScvmm[];
  /** Every call, in order. */
  readonly calls: CmdletCall[] = [];
  /** Cmdlets that did what was ordered. */
  readonly fired: string[] = [];
  readonly #faults = new Map<string, CmdletFault>();
  readonly #servers: ReplicaServers;
  #acts = 0;

  constructor(sites: readonly EmulatedSite[]) {
    this.hosts = new EmulatedHosts(sites);
    this.scvmms = sites.map((site) => new EmulatedScvmm(this.hosts, site));
    this.#servers = new ReplicaServers(this.hosts);
  }

  order(cmdlet: string, fault: CmdletFault): void {
    this.#faults.set(cmdlet, fault);
  }

  /** Calls of cmdlets that change something. */
  get changes(): CmdletCall[] {
    return this.calls.filter(({ cmdlet }) => [reads, clusterReads, scReads].every((known) => known[cmdlet] === undefined));
  }

  async answer(call: CmdletCall): Promise<CmdletAnswer> {
    this.calls.push(call);
    const fault = this.#faults.get(call.cmdlet);
    this.#faults.delete(call.cmdlet);
    if (fault === undefined) return this.#perform(call);
    this.fired.push(call.cmdlet);
    if (fault === 'lies') return {};
    if (fault === 'hangs') return new Promise(() => {});
    if (fault === 'failsAfter') await this.#perform(call);
    return { error: { id: 'OperationFailed', category: 'NotSpecified', message: `${call.cmdlet} was ordered to fail.` } };
  }

  /** The one that is named, or that the objects came from which were handed in. */
  #scvmmOf(call: CmdletCall): EmulatedScvmm {
    const named = Object.keys(call.parameters).flatMap((name) =>
      name === 'ComputerName' && call.cmdlet === 'Get-SCVMMServer' ? [textIn(call, name)] : serversIn(call, name),
    );
    const scvmm = this.scvmms.find(({ server }) => server === named[0]);
    if (scvmm === undefined || scvmm.isDown) throw refused(`Unable to connect to the VMM management server ${named[0]}.`);
    return scvmm;
  }

  async #perform(call: CmdletCall): Promise<CmdletAnswer> {
    try {
      this.hosts.facts.refuseDenied(call);
      const read = reads[call.cmdlet];
      if (read !== undefined) return await read(call, this.hosts);
      const ofCluster = clusterReads[call.cmdlet] ?? clusterChanges[call.cmdlet];
      if (ofCluster !== undefined) return ofCluster(call, this.hosts.clusters);
      const ofScvmm = scReads[call.cmdlet] ?? scChanges[call.cmdlet];
      if (ofScvmm !== undefined) return await ofScvmm(call, this.#scvmmOf(call));
      const ports = {
        hosts: this.hosts,
        servers: this.#servers,
        act: { commandId: CommandId.parse(`emulated/${++this.#acts}`), epoch: 1 },
      };
      const maker = makers[call.cmdlet];
      if (maker !== undefined) return await maker(call, ports);
      const change = changes[call.cmdlet];
      if (change === undefined) throw new Error(`the emulated Hyper-V does not know ${call.cmdlet}`);
      await change(call, ports);
      return {};
    } catch (thrown) {
      return { error: recordOf(thrown) };
    }
  }
}

function serversIn(call: CmdletCall, name: string): string[] {
  const value = call.parameters[name];
  const isObject = typeof (Array.isArray(value) ? value[0] : value) === 'object' && value !== null;
  return isObject ? referencesIn(call, name).map((reference) => reference.split('|')[0] ?? '') : [];
}

function recordOf(thrown: unknown): CmdletError {
  if (thrown instanceof StubRefusal) return thrown.error;
  if (!(thrown instanceof FabricError)) return { id: 'ModelFault', category: 'NotSpecified', message: String(thrown) };
  const { errorId: id, message } = thrown;
  return { id, category: categories[id] ?? 'NotSpecified', message, exception: 'VirtualizationOperationFailedException' };
}
