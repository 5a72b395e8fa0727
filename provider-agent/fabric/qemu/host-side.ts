/** What a machine gets of its host: its adapters, and the addresses that its guest learns without an agent. */
import type { JobId, NetworkId } from '../../../shared/ids.ts';
import type { NetworkExposure } from '../fabric.ts';
import type { Book } from '../site/machinery.ts';
import type { VmRecord } from '../site/vm-record.ts';

export interface HostSide {
  /** The book is true by now. Removes what a crash left. */
  open(book: Book): Promise<void>;
  /** Makes what it needs and gives the arguments of QEMU for it. Repeating it changes nothing. */
  equip(vm: VmRecord, folder: string): Promise<string[]>;
  /** Of a machine that has ended. */
  release(vm: VmRecord): Promise<void>;
  makeDrillNetwork(drill: JobId): Promise<void>;
  removeDrillNetwork(drill: JobId): Promise<void>;
  /** What the host itself says of a network, beside what the book says. */
  exposure(network: NetworkId, booked: NetworkExposure): Promise<NetworkExposure>;
}
