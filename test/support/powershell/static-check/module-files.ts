/** The PowerShell that we ship, as the static check takes it: what calls each other's functions is one group. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ScriptFile {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
}

const root = join(import.meta.dirname, '../../../..');
const isScript = /\.(ps1|psm1)$/;

export function readScripts(folder: string): ScriptFile[] {
  if (!existsSync(join(root, folder))) return [];
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) => isScript.test(name));
  return names
    .sort()
    .map((name) => ({ path: `${folder}/${name.replaceAll('\\', '/')}`, text: readFileSync(join(root, folder, name), 'utf8') }));
}
