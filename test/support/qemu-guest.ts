/** The machine of `test/qemu/guest`: its disk, and what an image of it must hold at any moment. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mistakesOfPrograms } from '../../provider-agent/fabric/qemu/programs.ts';

const SECTOR = 512;
const SETTINGS = 0x1ea;

export interface GuestSettings {
  /** Records that the disk holds before the oldest is written over. */
  readonly ring: number;
  /** Sectors from one record to the next. */
  readonly stride: number;
  /** Timer interrupts (18 a second) from one burst to the next. */
  readonly ticks: number;
  readonly burst: number;
}

const FIRST = 64;
export const calm: GuestSettings = { ring: 4096, stride: 8, ticks: 1, burst: 1 };

/** A raw image of that size that starts the machine. */
export function writeGuestDisk(file: string, sizeBytes: number, { ring, stride, ticks, burst }: GuestSettings = calm): void {
  const hex = readFileSync(join(import.meta.dirname, '../qemu/guest/guest.hex'), 'utf8');
  const boot = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  for (const [index, value] of [ring, stride, FIRST, ticks, burst].entries()) boot.writeUInt32LE(value, SETTINGS + 4 * index);
  const disk = Buffer.alloc(sizeBytes);
  boot.copy(disk);
  writeFileSync(file, disk);
}

export interface GuestDisk {
  /** Number of the last record that the head names; 0 before the first. */
  readonly last: number;
  readonly starts: number;
  readonly address: string;
  /** Records that the head promises and the disk does not hold. */
  readonly missing: readonly number[];
}

/** Reads an image, also one with layers below it, that nothing has open for writing. */
export function readGuestDisk(image: string, { ring, stride }: GuestSettings = calm): GuestDisk {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-disk-'));
  try {
    const raw = join(folder, 'disk.raw');
    execFileSync('qemu-img', ['convert', '-U', '-O', 'raw', image, raw]);
    return judge(readFileSync(raw), ring, stride);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function judge(disk: Buffer, ring: number, stride: number): GuestDisk {
  const head = disk.subarray(SECTOR, 2 * SECTOR);
  if (head.toString('latin1', 0, 4) !== 'FSHD') return { last: 0, starts: 0, address: '', missing: [] };
  const last = head.readUInt32LE(4);
  const address = head.subarray(12, 60).toString('latin1').replace(/\0.*$/s, '');
  const missing: number[] = [];
  // The record after the head's may be on the disk already, over the oldest of the ring.
  for (let number = Math.max(1, last - ring + 2); number <= last; number++) {
    const at = (FIRST + (number % ring) * stride) * SECTOR;
    const isThere =
      disk.toString('latin1', at, at + 4) === 'FSRC' &&
      disk.readUInt32LE(at + 4) === number &&
      disk.readUInt32LE(at + SECTOR - 4) === number;
    if (!isThere) missing.push(number);
  }
  return { last, starts: head.readUInt32LE(8), address, missing };
}

/** Why suites that need QEMU are skipped here, loudly; false where they run. Throws in CI, where all that can run has to run. */
export async function whyNoQemu(): Promise<string | false> {
  const mistakes = await mistakesOfPrograms();
  if (mistakes.length === 0) return false;
  if (process.env.CI !== undefined) throw new Error(mistakes.join('\n'));
  return `replication by QEMU is NOT tested here: ${mistakes.join('; ')}`;
}
