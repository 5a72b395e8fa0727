/**
 * Whether only administrators may write to a folder and to a script in it. POSIX: owner and mode of the folder, of every folder above
 * it, and of the file that was opened. Windows: the access lists of folder and file (windows-acl.ts); the folders above are not
 * looked at. The account of the agent itself is trusted: whoever has it needs no script.
 */
import { execFile } from 'node:child_process';
import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FarshoreError } from '../../shared/errors.ts';
import { powerShell } from '../process/powershell.ts';
import { strangersIn } from './windows-acl.ts';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** Throws ERR_SCRIPTS_UNSAFE with what others may do. `folder` is a real path. */
export async function trustFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return trustByAccessList(folder);
  trustOwner(folder, await lstat(folder), false);
  for (let path = folder; path !== dirname(path); path = dirname(path)) trustOwner(dirname(path), await lstat(dirname(path)), true);
}

/** The same of a file; `stats` are those of the file that was opened. */
export async function trustFile(path: string, stats: Stats): Promise<void> {
  if (process.platform === 'win32') return trustByAccessList(path);
  trustOwner(path, stats, false);
}

function trustOwner(path: string, { uid, mode }: Stats, isAbove: boolean): void {
  if (uid !== 0 && uid !== process.getuid?.()) throw unsafe(path, `it belongs to account ${uid}`);
  // In a folder with the sticky bit, as /tmp, nobody can put another in the place of what is ours.
  const isHarmless = isAbove && (mode & STICKY) !== 0;
  if ((mode & OTHERS_WRITE) !== 0 && !isHarmless) throw unsafe(path, `its mode is ${(mode & 0o7777).toString(8)}`);
}

/** The path goes by the environment, never into the text of the command. */
async function trustByAccessList(path: string): Promise<void> {
  const command = '(Get-Acl -LiteralPath $env:FARSHORE_PATH).Sddl';
  const args = ['-NoProfile', '-NonInteractive', '-Command', command];
  const env = { ...process.env, FARSHORE_PATH: path };
  const { stdout } = await promisify(execFile)(powerShell(process.platform, process.env), args, {
    env,
    windowsHide: true,
    timeout: 60_000,
  });
  const strangers = strangersIn(stdout.trim());
  if (strangers.length > 0) throw unsafe(path, `these may write to it: ${strangers.join(', ')}`);
}

function unsafe(path: string, why: string): FarshoreError {
  return new FarshoreError('ERR_SCRIPTS_UNSAFE', `others than administrators may write to ${path}: ${why}`);
}
