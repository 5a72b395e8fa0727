/**
 * A small Linux for tests of a journalled file system and of networks: Debian's cloud kernel and a static busybox over `test/qemu/linux/init`. Its
 * parts are fetched by apt once, into a cache outside the repository.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { whyNoQemu } from './qemu-guest.ts';

const run = promisify(execFile);
const sources = join(import.meta.dirname, '../qemu/linux');
const RECORD_BYTES = 32;

/** What `-kernel` and its fellows take. */
export interface LinuxGuest {
  readonly arguments: readonly string[];
}

/** Why suites that need the Linux guest are skipped here, loudly; false where they run. Throws in CI. */
export async function whyNoLinuxGuest(): Promise<string | false> {
  const without = await whyNoQemu();
  if (without !== false) return without;
  try {
    await parts();
    return false;
  } catch (error) {
    if (process.env.CI !== undefined) throw error;
    return `a Linux guest is NOT tested here: its parts cannot be had: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}

/** The kernel, and a file system in memory made in that folder. */
export async function makeLinuxGuest(folder: string): Promise<LinuxGuest> {
  const from = await parts();
  const archive = new Archive();
  for (const name of ['bin', 'dev', 'etc', 'modules', 'proc', 'sys']) archive.folder(name);
  archive.program('init', readFileSync(join(sources, 'init')));
  archive.program('guest-address.sh', readFileSync(join(import.meta.dirname, '../../examples/guest-address.sh')));
  archive.program('bin/busybox', readFileSync(join(from, 'busybox')));
  for (const applet of execFileSync(join(from, 'busybox'), ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox') archive.link(`bin/${applet}`, 'busybox');
  }
  for (const module of readdirSync(join(from, 'modules')))
    archive.program(`modules/${module}`, readFileSync(join(from, 'modules', module)));
  const initrd = join(folder, 'initrd');
  writeFileSync(initrd, gzipSync(archive.end(), { level: 1 }));
  return {
    arguments: ['-kernel', join(from, 'vmlinuz'), '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1 random.trust_cpu=on'],
  };
}

/** A raw image of that size with an empty ext4 in it. */
export async function writeLinuxDisk(file: string, sizeBytes: number): Promise<void> {
  await run('mke2fs', ['-q', '-t', 'ext4', '-F', file, `${sizeBytes / 1024}k`]);
}

export interface LinuxDisk {
  /** How many records the file holds. */
  readonly records: number;
  /** Numbers of those whose text is another one. */
  readonly wrong: readonly number[];
  /** What the check of the file system found after its journal was played back; empty where it is clean. */
  readonly damage: string;
}

/** Plays the journal back in a copy of the image, as a mount does, checks the file system, and reads the records. */
export async function readLinuxDisk(image: string): Promise<LinuxDisk> {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-linux-'));
  try {
    const [raw, records] = [join(folder, 'raw'), join(folder, 'records')];
    await run('qemu-img', ['convert', '-U', '-O', 'raw', image, raw]);
    await run('e2fsck', ['-E', 'journal_only', '-y', raw]).catch((error: { code?: unknown }) => {
      if (error.code !== 1) throw error; // 1: it was played back
    });
    const damage = await run('e2fsck', ['-f', '-n', raw]).then(
      () => '',
      (error: { stdout?: string }) => error.stdout ?? 'e2fsck failed',
    );
    await run('debugfs', ['-R', `dump /records ${records}`, raw]);
    const text = existsSync(records) ? readFileSync(records, 'latin1') : '';
    const count = Math.floor(text.length / RECORD_BYTES);
    const wrong = Array.from({ length: count }, (_, index) => index + 1).filter(
      (number) => text.slice((number - 1) * RECORD_BYTES, number * RECORD_BYTES) !== `record ${String(number).padStart(24, '0')}\n`,
    );
    return { records: count, wrong, damage };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the guest said on its serial port. */
export class Console {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  get arguments(): string[] {
    return ['-serial', `file:${this.file}`];
  }

  get lines(): string[] {
    return existsSync(this.file) ? readFileSync(this.file, 'latin1').split(/\r?\n/) : [];
  }

  says(line: string | RegExp): boolean {
    return this.lines.some((each) => (typeof line === 'string' ? each === line : line.test(each)));
  }

  /** The last record that it said was on its disk. */
  get written(): number {
    return Math.max(0, ...this.lines.map((line) => Number(/^WROTE (\d+)$/.exec(line)?.[1] ?? 0)));
  }
}

/** The folder with kernel, modules and busybox. */
async function parts(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'farshore');
  // The script says what is in it: another one fetches anew.
  const script = join(sources, 'fetch.sh');
  const folder = join(cache, `linux-guest-${Buffer.from(await crypto.subtle.digest('SHA-1', readFileSync(script))).toString('hex', 0, 6)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  await run('sh', [script, folder]);
  return folder;
}

/** A cpio archive in the form that Linux unpacks at its start (newc). */
class Archive {
  readonly #parts: Buffer[] = [];
  #next = 1;

  folder(name: string): void {
    this.#add(name, 0o040755, Buffer.alloc(0));
  }

  program(name: string, content: Buffer): void {
    this.#add(name, 0o100755, content);
  }

  link(name: string, to: string): void {
    this.#add(name, 0o120777, Buffer.from(to));
  }

  end(): Buffer {
    this.#add('TRAILER!!!', 0, Buffer.alloc(0));
    return Buffer.concat(this.#parts);
  }

  #add(name: string, mode: number, content: Buffer): void {
    const fields = [this.#next++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    this.#parts.push(padded(Buffer.from(header, 'latin1')), padded(content));
  }
}

function padded(part: Buffer): Buffer {
  return Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)]);
}
