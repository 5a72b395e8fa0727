/**
 * The digest over a site's inventory that both ends keep, to notice that they have drifted apart.
 *
 * It is the sum of the SHA-256 of every item, so one change costs two hashes however large the site is, and the
 * order of items does not count. It finds errors, not attackers: the channel is authenticated already. The hash comes
 * as an argument because nothing in `shared` may import a platform.
 */
import type { CloudId, NetworkId } from '../ids.ts';
import type { VmReport } from './egress.ts';

/** SHA-256 over the UTF-8 bytes of a text: 32 bytes. */
export type Sha256 = (text: string) => Uint8Array;

const BYTES = 32;

export class InventoryDigest {
  readonly #sum = new Uint8Array(BYTES);

  /** Begins with what `toString` gave; else empty. */
  constructor(text: string = '') {
    for (let i = 0; i < text.length / 2; i++) this.#sum[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }

  add(item: Uint8Array): void {
    let carry = 0;
    for (let i = BYTES - 1; i >= 0; i--) {
      carry += (this.#sum[i] ?? 0) + (item[i] ?? 0);
      this.#sum[i] = carry & 0xff;
      carry >>= 8;
    }
  }

  remove(item: Uint8Array): void {
    let borrow = 0;
    for (let i = BYTES - 1; i >= 0; i--) {
      const difference = (this.#sum[i] ?? 0) - (item[i] ?? 0) - borrow;
      this.#sum[i] = difference & 0xff;
      borrow = difference < 0 ? 1 : 0;
    }
  }

  /** 64 hex digits, as on the wire; all zeros for an empty inventory. */
  toString(): string {
    return Array.from(this.#sum, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

export function cloudItem(cloud: { readonly id: CloudId; readonly name: string }, sha256: Sha256): Uint8Array {
  return sha256(JSON.stringify(['cloud', cloud.id, cloud.name]));
}

export function networkItem(network: { readonly id: NetworkId; readonly name: string }, sha256: Sha256): Uint8Array {
  return sha256(JSON.stringify(['network', network.id, network.name]));
}

/** Over the report as it is sent, but for the measure, which is no news by itself; the order of networks and tags does not count. */
export function vmItem(vm: VmReport, sha256: Sha256): Uint8Array {
  const { ref, name, power, networkIds, replication, epoch, tags } = vm;
  const { mode, state, health, lastPointAt } = replication;
  const settings = replication.settings && [
    replication.settings.copyFrequencySeconds,
    replication.settings.additionalRecoveryPoints,
    replication.settings.applicationConsistentHours,
    replication.settings.compression,
    replication.settings.authentication,
  ];
  const told: unknown[] = [ref.cloudId, ref.vmId, name, power, [...networkIds].sort(), mode, state, health, lastPointAt, settings, epoch];
  if (replication.firstCopyAt !== undefined) told.push({ firstCopyAt: replication.firstCopyAt });
  if (tags !== undefined) told.push([...tags].sort());
  return sha256(JSON.stringify(['vm', ...told]));
}
