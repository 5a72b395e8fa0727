/** The sites of a world: which there are, and the text of the file that describes each. */
import { CANARY } from './checkers-metadata.ts';

export type SiteName = 'reading' | 'slough' | 'bath';

export interface CloudPlan {
  readonly name: string;
  readonly vms: number;
  /** `{0}` is the number of the VM. */
  readonly namePattern?: string;
  /** More fields of its VMs. */
  readonly fields?: string;
}

export interface WorldOptions {
  /** VMs at reading, where the sites are not given. */
  readonly vms?: number;
  /** Sites with their clouds; reading with its VMs in Gold and slough with Silver where none are given. */
  readonly sites?: Partial<Readonly<Record<SiteName, readonly CloudPlan[]>>> | null;
  readonly seed?: number;
  /** Lines of the site files, such as `timings`. */
  readonly extra?: string;
  readonly deleteReplica?: boolean;
  /** Recovery points kept beside the latest. */
  readonly recoveryPoints?: number;
  /** Quicker, and of no use for a template. */
  readonly sitesInMemory?: boolean;
}

export const plannedSites = ({ sites, vms }: Required<WorldOptions>): NonNullable<WorldOptions['sites']> =>
  sites ?? { reading: [{ name: 'Gold', vms }], slough: [{ name: 'Silver', vms: 0 }] };

/** What must stay at a site has the canary in its name: its hosts, its storage, its subnets, tags that no rule names, the site itself. */
export function siteText(name: SiteName, options: Required<WorldOptions>): string {
  const clouds = plannedSites(options)[name] ?? [];
  const generated = ({ name: cloud, vms, namePattern = 'vm-{0}', fields }: CloudPlan) => `
  - generate: { count: ${vms}, namePattern: '${namePattern}', cloud: ${cloud}, cores: 1, memory: 1 GB, changeRate: 1 MB/s, disks: [{ size: 1 GB, storage: ${CANARY}-disk }], adapters: [{ network: LAN, address: pool }], tags: ['owner ${CANARY}']${fields === undefined ? '' : `, ${fields}`} }`;
  return `
name: ${CANARY}-${name}
clouds: [${clouds.map((cloud) => `{ name: ${cloud.name} }`).join(', ')}]
hosts:
  - { name: ${CANARY}-${name}-1, cores: 64, memory: 4 TB }
  - { name: ${CANARY}-${name}-2, cores: 64, memory: 4 TB }
storage: [{ name: ${CANARY}-disk, capacity: 200 TB }]
networks:
  - name: LAN
    subnets: [{ name: ${CANARY}-net, cidr: 10.0.0.0/16, pool: { from: 10.0.0.10, to: 10.0.200.250, gateway: 10.0.0.1 } }]
  - name: Office
    subnets: [{ name: ${CANARY}-office, cidr: 10.9.0.0/16 }]
  - name: Bubble
    isolated: true
    subnets: [{ name: ${CANARY}-bubble, cidr: 10.0.0.0/16 }]
${options.extra}
${
  clouds.some(({ vms }) => vms > 0)
    ? `vms:${clouds
        .filter(({ vms }) => vms > 0)
        .map(generated)
        .join('')}`
    : ''
}
`;
}
