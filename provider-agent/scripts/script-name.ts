/** Which names a script may have, and by what it is run: a name is never a path, and its ending alone decides. */
import { FarshoreError } from '../../shared/errors.ts';
import { powerShell } from '../process/powershell.ts';

/** Names that Windows takes for devices, whatever their ending. */
const device = /^(con|prn|aux|nul|com\d|lpt\d)\./i;
const plain = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

export const isScriptName = (name: string): boolean => plain.test(name) && !device.test(name) && /\.(ps1|sh)$/.test(name);

export interface Interpreter {
  readonly file: string;
  readonly args: readonly string[];
}

/** What runs the file at `path`. Throws ERR_SCRIPT_FAILED where this system has nothing for it. */
export function interpreterOf(name: string, path: string, platform: NodeJS.Platform, environment: NodeJS.ProcessEnv): Interpreter {
  if (name.endsWith('.ps1')) return { file: powerShell(platform, environment), args: ['-NoProfile', '-NonInteractive', '-File', path] };
  if (platform !== 'win32') return { file: '/bin/sh', args: [path] };
  throw new FarshoreError('ERR_SCRIPT_FAILED', `${name} cannot be run on Windows; scripts there end in .ps1`);
}
