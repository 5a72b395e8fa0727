/**
 * The Hyper-V hosts that the stub cmdlets reach. VMs, their states and everything that becomes of them are those of simulated sites; kept
 * here is only what a simulated site has no word for: notes, the switches of adapters, replica servers and their entries.
 */
import type { TestCopyView, VmView } from '../../../provider-agent/fabric/fabric.ts';
import type { SimulatedSite } from '../../../provider-agent/fabric/simulated/simulated-site.ts';
import type { SiteDefinition } from '../../../provider-agent/fabric/simulated/site-definition.ts';
import type { CloudDefinition } from '../../../provider-agent/fabric/site/site-model.ts';
import type { SiteId, VmId, VmRef } from '../../../shared/ids.ts';
import { EmulatedClusters } from './clusters.ts';
import { HostFacts } from './host-facts.ts';
import { StubRefusal } from './stub-call.ts';

export interface EmulatedSite {
  readonly siteId: SiteId;
  readonly definition: SiteDefinition;
  readonly site: SimulatedSite;
}

/** A VM or a test copy, as the cmdlets see it. */
export interface EmulatedVm {
  readonly at: EmulatedSite;
  readonly ref: VmRef;
  readonly host: string;
  readonly view: Pick<VmView, 'name' | 'power'> & { readonly tags?: readonly string[] };
  /** Of a test copy there is none: it does not replicate itself. */
  readonly replication: VmView['replication'] | null;
  readonly copy: { readonly view: TestCopyView; readonly replica: VmRef } | null;
}

export interface ReplicaServer {
  isEnabled: boolean;
  isOpenToAll: boolean;
  authentication: string;
  /** For certificates. */
  port: number;
  kerberosPort: number;
  thumbprint: string;
  readonly entries: Map<string, { readonly storage: string; readonly trustGroup: string }>;
}

export class EmulatedHosts {
  readonly sites: readonly EmulatedSite[];
  readonly #notes = new Map<string, string>();
  readonly #adapters = new Map<string, string[]>();
  readonly #servers = new Map<string, ReplicaServer>();
  readonly facts = new HostFacts();
  /** Private switches that were made on a host. */
  readonly madeSwitches = new Map<string, Set<string>>();
  /** By the reference to the adapter: what its guest tells beside the address that the simulated site knows. */
  readonly moreAddresses = new Map<string, readonly string[]>();
  /** By the reference to the adapter. */
  readonly failoverSettings = new Map<string, Readonly<Record<string, unknown>>>();

  readonly clusters = new EmulatedClusters();

  constructor(sites: readonly EmulatedSite[]) {
    this.sites = sites;
  }

  /** The full name that a host of a site has here. */
  static fullName(definition: SiteDefinition, host: string): string {
    return `${host}.${EmulatedHosts.domain(definition)}`;
  }

  static domain({ name }: SiteDefinition): string {
    return `${name.toLowerCase()}.example`;
  }

  /** Which host of which site a name means. Throws as a cmdlet does that reaches nobody; the text is ours. */
  named(fullName: string): { readonly at: EmulatedSite; readonly host: string; readonly cloud: CloudDefinition } {
    for (const at of this.sites)
      for (const cloud of at.definition.clouds)
        for (const host of cloud.hosts)
          if (EmulatedHosts.fullName(at.definition, host) === fullName && at.site.isUp(host)) return { at, host, cloud };
    throw new StubRefusal('OperationFailed', 'ResourceUnavailable', `The Hyper-V host '${fullName}' does not answer.`);
  }

  /** A node of the cluster whose Replica Broker has this name, which is one of the site in its domain. */
  behindBroker(fullName: string): ReturnType<EmulatedHosts['named']> | null {
    const [shortName = '', ...domain] = fullName.split('.');
    if (!this.clusters.isBroker(shortName)) return null;
    const at = this.sites.find(({ definition }) => EmulatedHosts.domain(definition) === domain.join('.'));
    const host = at?.definition.hosts.find(({ name }) => at.site.isUp(name))?.name;
    return at === undefined || host === undefined ? null : this.named(EmulatedHosts.fullName(at.definition, host));
  }

  async vmsOn(fullName: string): Promise<EmulatedVm[]> {
    const { at, host } = this.named(fullName);
    const { vms } = await at.site.readInventory(null);
    const all = await Promise.all([
      ...vms.map(({ ref }) => this.find(at, ref)),
      ...[...at.site.testCopies().values()].map(({ ref }) => this.find(at, ref)),
    ]);
    return all.filter((vm) => vm !== null && vm.host === host) as EmulatedVm[];
  }

  async find(at: EmulatedSite, ref: VmRef): Promise<EmulatedVm | null> {
    const host = await at.site.hostOf(ref);
    if (host === null) return null;
    for (const [replicaId, view] of at.site.testCopies())
      if (view.ref.vmId === ref.vmId)
        return {
          at,
          ref: view.ref,
          host,
          view,
          replication: null,
          copy: { view, replica: { cloudId: view.ref.cloudId, vmId: replicaId as VmId } },
        };
    const view = await at.site.findVm(ref);
    return view === null ? null : { at, ref, host, view, replication: view.replication, copy: null };
  }

  /** The VM that an object of the model stands for. */
  async behind(reference: string): Promise<EmulatedVm> {
    const [siteId, cloudId, vmId] = reference.split('/');
    const at = this.sites.find((each) => each.siteId === siteId);
    const vm = at === undefined ? null : await this.find(at, { cloudId, vmId } as VmRef);
    if (vm === null)
      throw new StubRefusal(
        'ObjectNotFound',
        'ObjectNotFound',
        'Hyper-V encountered an error trying to access an object because the object was not found.',
      );
    return vm;
  }

  notes({ ref }: EmulatedVm): string {
    return this.#notes.get(keyOf(ref)) ?? '';
  }

  setNotes({ ref }: EmulatedVm, notes: string): void {
    this.#notes.set(keyOf(ref), notes);
  }

  /** Nothing says whether notes travel with a VM; here they do. */
  copyNotes(from: EmulatedVm, to: VmRef): void {
    this.#notes.set(keyOf(to), this.notes(from));
  }

  /** The switch of each adapter; empty where it is not connected. */
  adapters({ at, ref }: EmulatedVm): string[] {
    const key = keyOf(ref);
    let adapters = this.#adapters.get(key);
    if (adapters === undefined) {
      const nameOf = (id: string | undefined) => at.definition.networks.find((network) => network.id === id)?.name ?? '';
      adapters = at.site.adapters(ref).map(({ connected }) => nameOf(connected?.networkId));
      this.#adapters.set(key, adapters);
    }
    return adapters;
  }

  forget({ ref }: EmulatedVm): void {
    this.#notes.delete(keyOf(ref));
    this.#adapters.delete(keyOf(ref));
  }

  server(fullName: string): ReplicaServer {
    this.named(fullName);
    let server = this.#servers.get(fullName);
    if (server === undefined) {
      server = { isEnabled: false, isOpenToAll: false, authentication: 'Kerberos', ...listening, thumbprint: '', entries: new Map() };
      this.#servers.set(fullName, server);
    }
    return server;
  }
}

const listening = { port: 443, kerberosPort: 80 };

const keyOf = ({ cloudId, vmId }: VmRef) => `${cloudId}/${vmId}`;

export const referenceTo = ({ at, ref }: EmulatedVm): string => `${at.siteId}/${ref.cloudId}/${ref.vmId}`;
