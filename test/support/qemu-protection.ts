/** Two sites of real machines in this process whose hosts are prepared for each other, and VMs that are protected from one to the other: over the port alone. */
import type { Act, Fabric, ReplicaTarget } from '../../provider-agent/fabric/fabric.ts';
import { nameUuid } from '../../provider-agent/fabric/name-uuid.ts';
import { defaultPolicy } from '../../shared/domain/policy.ts';
import { CommandId, NetworkId, PairingId, SiteId, VmId, type VmRef } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { type OpenSite, QemuTestSite } from './qemu-site.ts';
import { makeVaultCertificates } from './replication-certificates.ts';
import { uuidOf } from './simulated-sites.ts';

const pairingId = PairingId.parse(uuidOf('pairing'));
const policy = { ...defaultPolicy, copyFrequencySeconds: 30 as const };
const names = ['reading', 'slough'] as const;

export type SiteName = (typeof names)[number];
export const act = (): Act => ({ commandId: CommandId.parse(systemRandom.uuid()), epoch: 1 });

export class QemuProtection {
  readonly sites: Readonly<Record<SiteName, QemuTestSite>>;
  readonly #addresses = new Map<SiteName, string>();

  private constructor(sites: Readonly<Record<SiteName, QemuTestSite>>) {
    this.sites = sites;
  }

  static async make(vms: readonly string[], open: Partial<Record<SiteName, OpenSite>> = {}): Promise<QemuProtection> {
    const made = new QemuProtection({
      reading: QemuTestSite.write('reading', 'Gold', vms),
      slough: QemuTestSite.write('slough', 'Silver'),
    });
    for (const name of names) await made.sites[name].open(open[name]);
    await made.#prepare();
    return made;
  }

  fabricAt(name: SiteName): Fabric {
    return this.sites[name].site;
  }

  refAt(name: SiteName, vm: string): VmRef {
    return { cloudId: this.sites[name].cloudId, vmId: VmId.parse(nameUuid('reading', 'vm', 'Gold', vm)) };
  }

  homeAt(name: SiteName, vm: string): string {
    return this.sites[name].homeOf(this.refAt(name, vm).vmId);
  }

  async stateAt(name: SiteName, vm: string): Promise<string> {
    const view = await this.fabricAt(name).findVm(this.refAt(name, vm));
    return `${view?.replication.mode} ${view?.replication.state}`;
  }

  /** Where the other end sends to. */
  targetAt(name: SiteName): ReplicaTarget {
    return { siteId: SiteId.parse(uuidOf(name)), cloudId: this.sites[name].cloudId, address: this.#addresses.get(name) ?? '' };
  }

  /** There is a replica that waits for its first copy. */
  async enable(vm: string): Promise<void> {
    await this.fabricAt('reading').enableReplication(this.refAt('reading', vm), this.targetAt('slough'), policy, act());
    const [from, to] = names.map((site) => NetworkId.parse(nameUuid(site, 'network', 'LAN')));
    if (from !== undefined && to !== undefined)
      await this.fabricAt('slough').configureReplica(this.refAt('slough', vm), [{ from, to }], act());
  }

  async end(): Promise<void> {
    for (const site of Object.values(this.sites)) await site.end();
  }

  async #prepare(): Promise<void> {
    const certificates = await makeVaultCertificates();
    for (const name of names) {
      const [fabric, { cloudId }] = [this.fabricAt(name), this.sites[name]];
      const other = name === 'reading' ? 'slough' : 'reading';
      const issue = await certificates.siteIssuer(SiteId.parse(uuidOf(name)));
      const issued = await issue(await fabric.replicationHosts(cloudId));
      const peer = { siteId: SiteId.parse(uuidOf(other)), cloudId: this.sites[other].cloudId };
      const { rootPem } = certificates;
      const preparation = { pairingId, cloudId, authentication: 'certificate', port: null, certificates: issued, rootPem, peer } as const;
      const { address } = await fabric.prepareHosts(preparation, act());
      this.#addresses.set(name, address);
    }
  }
}
