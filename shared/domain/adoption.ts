/**
 * VMs that replicate by Hyper-V Replica and are not protected by us: which pairing could adopt them, in which direction, what
 * differs from its policy, and what stands against it. Pure: it is worked out from what the sites reported.
 */
import type { CloudId, PairingId, SiteId, VmId } from '../ids.ts';
import { type ProtectionPolicy, type ReplicationSettings, settingsOf } from './policy.ts';
import { type ActiveLocation, otherSide } from './protected-vm.ts';

interface Place {
  readonly siteId: SiteId;
  readonly cloudId: CloudId;
}

/** One VM as one site reports it. */
export interface SeenVm extends Place {
  readonly vmId: VmId;
  readonly name: string;
  readonly mode: string;
  readonly state: string;
  /** Null where it does not replicate, or its site has not told. */
  readonly settings: ReplicationSettings | null;
}

export interface PairedClouds {
  readonly id: PairingId;
  readonly primary: Place;
  readonly recovery: Place;
  readonly policy: ProtectionPolicy;
}

/** A setting of the replication that is not as the policy of the pairing says. */
export interface SettingDifference {
  readonly setting: keyof ReplicationSettings;
  readonly is: string;
  readonly policy: string;
}

export interface Candidate<S extends SeenVm, P extends PairedClouds> {
  readonly primary: S;
  /** Its replica, in a paired cloud before any other; null where no site reports one. */
  readonly replica: S | null;
  readonly pairing: P | null;
  /** The side of the pairing that sends. */
  readonly replicatesFrom: ActiveLocation | null;
  readonly differences: readonly SettingDifference[];
  /** What stands against adopting it; empty where nothing does. Differences do not: a person says what becomes of them. */
  readonly obstacle: string;
}

/** One for each primary among the VMs given. */
export function findCandidates<S extends SeenVm, P extends PairedClouds>(seen: readonly S[], pairings: readonly P[]): Candidate<S, P>[] {
  const replicas = Map.groupBy(
    seen.filter(({ mode }) => mode === 'replica'),
    ({ vmId }) => vmId,
  );
  return seen.filter(({ mode }) => mode === 'primary').map((primary) => candidateOf(primary, replicas.get(primary.vmId) ?? [], pairings));
}

function candidateOf<S extends SeenVm, P extends PairedClouds>(
  primary: S,
  replicas: readonly S[],
  pairings: readonly P[],
): Candidate<S, P> {
  // A pairing in the direction of the replication is better than one that would be used in reverse.
  for (const replicatesFrom of ['primary', 'recovery'] as const) {
    for (const pairing of pairings) {
      const replica = replicas.find((one) => isAt(one, pairing[otherSide(replicatesFrom)]));
      if (!isAt(primary, pairing[replicatesFrom]) || replica === undefined) continue;
      const differences = primary.settings === null ? [] : differencesOf(primary.settings, pairing.policy);
      return { primary, replica, pairing, replicatesFrom, differences, obstacle: obstacleOf(primary, replica) };
    }
  }
  const [replica = null] = replicas;
  const obstacle = replica === null ? 'no site reports its replica' : 'no pairing joins the clouds of its primary and its replica';
  return { primary, replica, pairing: null, replicatesFrom: null, differences: [], obstacle };
}

const isAt = (vm: Place, place: Place) => vm.siteId === place.siteId && vm.cloudId === place.cloudId;

function obstacleOf(primary: SeenVm, replica: SeenVm): string {
  const still = [primary, replica].find(({ state }) => state !== 'replicating');
  if (still !== undefined) return `its ${still.mode} is ${still.state}: it is adopted once both ends replicate`;
  return primary.settings === null ? 'its site has not told how it replicates' : '';
}

export function differencesOf(settings: ReplicationSettings, policy: ProtectionPolicy): SettingDifference[] {
  const wanted = settingsOf(policy);
  const names = Object.keys(wanted) as (keyof ReplicationSettings)[];
  return names.flatMap((setting) =>
    settings[setting] === wanted[setting] ? [] : [{ setting, is: inWords(settings[setting]), policy: inWords(wanted[setting]) }],
  );
}

function inWords(value: ReplicationSettings[keyof ReplicationSettings]): string {
  if (value === null || value === false) return 'off';
  return value === true ? 'on' : String(value);
}
