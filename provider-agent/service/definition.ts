/** A service as it is to be: its names, its files, and the host program that is made of the sources beside this file. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FarshoreError } from '../../shared/errors.ts';

const sourceFolder = join(import.meta.dirname, 'host');

export const hostSources = readdirSync(sourceFolder)
  .filter((name) => name.endsWith('.cs'))
  .sort()
  .map((name) => join(sourceFolder, name));

export interface ServiceFiles {
  readonly name: string;
  readonly dataFolder: string;
  readonly folder: string;
  /** Named by its source: a host that runs is never written over. */
  readonly host: string;
  /** What the host starts: a program and its arguments, one a line. */
  readonly launch: string;
  /** ... before the last upgrade. */
  readonly previous: string;
  /** ... while an upgrade is under way: what has been seen to run, and is gone back to. */
  readonly proven: string;
}

/** Throws ERR_REQUEST_INVALID for a name that no service has. */
export function serviceFiles(name: string, dataFolder: string): ServiceFiles {
  if (!/^[A-Za-z0-9_-]{1,80}$/.test(name))
    throw new FarshoreError('ERR_REQUEST_INVALID', `'${name}' is no name for a service`, {
      problems: [{ field: '--name', message: `is '${name}'`, allowed: '1 to 80 letters, digits, - and _' }],
    });
  const folder = join(dataFolder, 'service');
  return {
    name,
    dataFolder,
    folder,
    host: join(folder, `farshore-agent-${hashOf(hostSources)}.exe`),
    launch: join(folder, 'launch.txt'),
    previous: join(folder, 'launch.previous.txt'),
    proven: join(folder, 'launch.proven.txt'),
  };
}

/** How the host starts this release of the agent. */
export function launchText(node: string, script: string, dataFolder: string): string {
  return [node, script, 'run', '--data', dataFolder, '--service'].map((line) => `${line}\r\n`).join('');
}

/** Program and arguments. */
export function readLaunch(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '');
}

function hashOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
