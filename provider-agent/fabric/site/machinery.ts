/**
 * What carries out what the rules of a site decide. The rules (world.ts and the operations beside it) say what may happen and keep the
 * book; a machinery does it: one pretends, one has real machines. Each deed looks first and may be repeated, since a crash can
 * come between it and its line in the book. Deeds throw FabricErrors.
 */
import type { JobId, NetworkId, VmRef } from '../../../shared/ids.ts';
import type { FailoverNote, NetworkExposure, RecoveryPoint } from '../fabric.ts';
import type { HostStore } from './host-store.ts';
import type { Operation } from './operation.ts';
import type { PreparationStore } from './preparation-store.ts';
import type { RecoveryPointStore } from './recovery-points.ts';
import type { SentPoint } from './replication-frames.ts';
import type { ReplicationSource } from './replication-transport.ts';
import type { TestCopyRecord, Traits, VmRecord } from './vm-record.ts';
import type { VmStore } from './vm-store.ts';

/** What stands beside the disks of a VM, durably, before the disks are touched for it. */
export interface VmNote {
  readonly epoch: number;
  readonly failover: FailoverNote | null;
}

/** What the site has written down, for a machinery that finds things otherwise. */
export interface Book {
  readonly vms: VmStore;
  readonly hosts: HostStore;
  readonly points: RecoveryPointStore;
  readonly preparations: PreparationStore;
  transaction<T>(work: () => T): T;
  /** Nobody here switched it: its guest ended, its process died, or a crash came between the deed and its line. */
  foundPower(ref: VmRef, power: 'running' | 'off'): void;
}

/** Asks the machinery of the other end about that VM; throws its refusal. */
export type AskMachinery = (message: unknown) => Promise<unknown>;

export interface Machinery {
  /** How long an operation is pretended to take, beside what it takes. */
  takesMs(operation: Operation): number;
  /** How long a copy of so many bytes is pretended to take. */
  copyMs(bytes: number): number;
  /** How long the guest is pretended to take from its start until it answers. */
  guestStartMs(vm: VmRecord): number;

  /** Brings machines and book together after whatever ended the last life. Nothing else is asked before. */
  open(book: Book): Promise<void>;
  /** Real machines go on. */
  close(): Promise<void>;
  /** What is done to one VM follows one after the other, where two at once would meet at the same disks. */
  inTurn<T>(subject: Partial<VmRef>, work: () => Promise<T>): Promise<T>;
  /** What the other end must know to run it. */
  traitsForReplica(vm: VmRecord): Traits;

  start(vm: VmRecord): Promise<void>;
  /** By its guest; throws where it does not in time. */
  shutDown(vm: VmRecord): Promise<void>;
  switchOff(vm: VmRecord): Promise<void>;
  guestAnswers(vm: VmRecord): Promise<boolean>;
  /** The disks too. */
  remove(vm: VmRecord): Promise<void>;
  writeNote(vm: VmRecord, note: VmNote): Promise<void>;

  failOver(replica: VmRecord, point: RecoveryPoint): Promise<void>;
  /** What was written since the failover is lost. */
  takeBack(replica: VmRecord): Promise<void>;
  /** The other points are gone. */
  commit(replica: VmRecord): Promise<void>;
  /** A replica that was failed over sends from now on. */
  becomePrimary(replica: VmRecord): Promise<void>;
  /** A primary that is off receives from now on: equal to the other end at the point, or unknown how far where that is null. */
  becomeReplica(primary: VmRecord, pointId: string | null): Promise<void>;
  /** It stands alone from now on, a replica with what arrived last. */
  endReplication(vm: VmRecord): Promise<void>;
  makeTestCopy(copy: TestCopyRecord, replica: VmRecord): Promise<void>;

  makeDrillNetwork(drill: JobId): Promise<void>;
  removeDrillNetwork(drill: JobId): Promise<void>;
  /** What can be seen of a network beside what the book says. */
  exposure(network: NetworkId, booked: NetworkExposure): Promise<NetworkExposure>;

  /**
   * Brings all that the point shall hold to the other end, where it waits to be sealed; answers the point with the moment that it holds.
   * Absent where the point itself is all that is sent.
   */
  carry?(primary: VmRecord, point: SentPoint, ask: AskMachinery): Promise<SentPoint>;
  /** Writes all that the point shall hold to a folder that people carry; absent where no first copy can be carried so. */
  exportFirstCopy?(primary: VmRecord, point: SentPoint, folder: string): Promise<void>;
  /** The point that stands in the folder for that VM, which the replica holds from now on; throws where there is none. */
  importFirstCopy?(replica: VmRecord, folder: string): Promise<SentPoint>;
  /** Answers what `carry` of the other end asks. */
  answer?(replica: VmRecord, source: ReplicationSource, message: unknown): Promise<unknown>;
  /** What was carried for the point is the point from now on; `kept` are the points that stay beside it. */
  seal?(replica: VmRecord, point: SentPoint, kept: readonly RecoveryPoint[]): Promise<void>;
}
