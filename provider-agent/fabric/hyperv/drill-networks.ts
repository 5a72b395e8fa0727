/**
 * Networks that are made for drills: on each host that has the network they are made after, a private switch whose name says whose it is. Private switches of
 * two hosts do not reach each other, so copies on different hosts do not either.
 */
import { JobId, type NetworkId } from '../../../shared/ids.ts';
import type { Act, DrillNetworkView } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import type { ModuleCalls } from './module-calls.ts';
import { onEach } from './on-each.ts';

export const DRILL_PREFIX = 'Farshore drill ';

export const drillNetworkName = (drill: JobId) => `${DRILL_PREFIX}${drill}`;

/** Null: the switch was not made for a drill. */
export function drillOf(switchName: string): JobId | null {
  return switchName.startsWith(DRILL_PREFIX) ? (JobId.safeParse(switchName.slice(DRILL_PREFIX.length)).data ?? null) : null;
}

interface FoundSwitch {
  readonly cloud: HyperVCloud;
  readonly host: string;
  readonly name: string;
  readonly vms: number;
  readonly copies: number;
}

export class DrillNetworks {
  readonly #calls: ModuleCalls;
  readonly #clouds: readonly HyperVCloud[];
  readonly #networkId: (switchName: string) => NetworkId;

  constructor(calls: ModuleCalls, clouds: readonly HyperVCloud[], networkId: (switchName: string) => NetworkId) {
    this.#calls = calls;
    this.#clouds = clouds;
    this.#networkId = networkId;
  }

  async all(): Promise<DrillNetworkView[]> {
    const views = new Map<string, DrillNetworkView>();
    for (const { name, copies } of await this.#switches()) {
      const drill = drillOf(name);
      if (drill !== null) views.set(name, { drill, id: this.#networkId(name), copies: copies + (views.get(name)?.copies ?? 0) });
    }
    return [...views.values()];
  }

  /** Throws ERR_CONFLICT where there is one, ERR_NETWORK_NOT_FOUND where there is nothing to make it after. */
  async make(drill: JobId, like: NetworkId, { signal }: Act): Promise<void> {
    const switches = await this.#switches();
    if (switches.some(({ name }) => name === drillNetworkName(drill)))
      throw refusal('ERR_CONFLICT', `there is a network for the drill ${drill}`);
    const alike = switches.filter(({ name }) => this.#networkId(name) === like);
    if (alike.length === 0) throw refusal('ERR_NETWORK_NOT_FOUND', `no host has a switch of the network ${like}`);
    await onEach(alike, ({ cloud, host }) => this.#makeOn(cloud, host, drill, signal));
  }

  /** Throws ERR_CONFLICT where something is connected to it, ERR_NETWORK_NOT_FOUND where there is none. */
  async remove(drill: JobId, { signal }: Act): Promise<void> {
    const own = (await this.#switches()).filter(({ name }) => name === drillNetworkName(drill));
    if (own.length === 0) throw refusal('ERR_NETWORK_NOT_FOUND', `there is no network for the drill ${drill}`);
    if (own.some(({ vms, copies }) => vms + copies > 0))
      throw refusal('ERR_CONFLICT', `something is connected to the network of the drill ${drill}`);
    for (const { cloud, host, name } of own)
      await this.#calls.ofHost('Remove-FarshoreDrillSwitch', cloud, host, { SwitchName: name }, signal);
  }

  /** The switch of the drill's network on one more host: its maker may have died half way. Null where the network is none of a drill. */
  async extendTo(cloud: HyperVCloud, host: string, networkId: NetworkId, signal: AbortSignal | undefined): Promise<string | null> {
    const network = (await this.all()).find(({ id }) => id === networkId);
    if (network === undefined) return null;
    await this.#makeOn(cloud, host, network.drill, signal);
    return drillNetworkName(network.drill);
  }

  async #makeOn(cloud: HyperVCloud, host: string, drill: JobId, signal: AbortSignal | undefined): Promise<void> {
    await this.#calls.ofHost('New-FarshoreDrillSwitch', cloud, host, { SwitchName: drillNetworkName(drill) }, signal);
  }

  async #switches(): Promise<FoundSwitch[]> {
    const found = await Promise.all(
      this.#clouds.flatMap((cloud) =>
        cloud.hosts.map(async (host) => {
          const { switches } = await this.#calls.ofHost('Get-FarshoreSwitch', cloud, host);
          return switches.map(({ name, vms, copies }) => ({ cloud, host, name, vms, copies }));
        }),
      ),
    );
    return found.flat();
  }
}

function refusal(code: 'ERR_CONFLICT' | 'ERR_NETWORK_NOT_FOUND', message: string): FabricError {
  return new FabricError(code, code === 'ERR_CONFLICT' ? 'InvalidOperation' : 'ObjectNotFound', 'NewVMSwitch', message);
}
