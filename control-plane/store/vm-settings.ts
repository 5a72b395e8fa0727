/**
 * What of its pairing a protected VM has got: its policy and its network map, each as a digest. A pairing says what is wanted; a
 * step that is done says what was set. Where the two differ the VM is behind, whatever it was doing when the pairing was changed.
 */
import { createHash } from 'node:crypto';
import { type ProtectionPolicy, settingsOf } from '../../shared/domain/policy.ts';
import type { ActiveLocation } from '../../shared/domain/protected-vm.ts';
import type { NetworkId } from '../../shared/ids.ts';

export interface VmSettings {
  /** Null: never. */
  readonly policy: string | null;
  readonly networks: string | null;
}
export type VmSetting = keyof VmSettings;

type NetworkMap = readonly { readonly from: NetworkId; readonly to: NetworkId }[];

export const noSettings: VmSettings = { policy: null, networks: null };

/** Of what a site is told; the rest of a policy is for us. */
export const policyDigest = (policy: ProtectionPolicy): string => digestOf(settingsOf(policy));

/** The order of the map does not count. */
export const networksDigest = (networks: NetworkMap): string => digestOf(networks.map(({ from, to }) => `${from} ${to}`).sort());

export function wantedSettings({ policy, networks }: { readonly policy: ProtectionPolicy; readonly networks: NetworkMap }) {
  return { policy: policyDigest(policy), networks: networksDigest(networks) };
}

/** A VM that replicates back has its own networks at the primary site, not mapped ones. */
export function settingsBehind(
  { applied, replicatesFrom }: { readonly applied: VmSettings; readonly replicatesFrom: ActiveLocation },
  wanted: VmSettings,
): VmSetting[] {
  const concerns: readonly VmSetting[] = replicatesFrom === 'primary' ? ['policy', 'networks'] : ['policy'];
  return concerns.filter((setting) => applied[setting] !== wanted[setting]);
}

const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');
