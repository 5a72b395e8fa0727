/**
 * What the command line keeps between two calls: where the control plane is, the authority that its certificate must come
 * from, and the secret of the sign-in. One file, readable by its owner only; FARSHORE_CONFIG names another.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { FarshoreError } from '../../shared/errors.ts';
import type { Surroundings } from './surroundings.ts';

const CliConfig = z.strictObject({
  address: z.url({ protocol: /^https$/ }),
  /** PEM; null trusts what the machine trusts. */
  ca: z.string().nullable(),
  secret: z.string().nullable(),
});
export type CliConfig = z.infer<typeof CliConfig>;

export function configFile({ environment, platform }: Pick<Surroundings, 'environment' | 'platform'>): string {
  const { FARSHORE_CONFIG: given, APPDATA: roaming, XDG_CONFIG_HOME: xdg } = environment;
  if (given) return path.resolve(given);
  const folder = platform === 'win32' ? (roaming ?? path.join(homedir(), 'AppData', 'Roaming')) : (xdg ?? path.join(homedir(), '.config'));
  return path.join(folder, 'farshore', 'config.json');
}

/** Null when there is none. Throws ERR_DOCUMENT_INVALID for one that cannot be used. */
export function readConfig(surroundings: Surroundings): CliConfig | null {
  const file = configFile(surroundings);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return null;
  }
  try {
    return CliConfig.parse(JSON.parse(text));
  } catch (cause) {
    throw new FarshoreError('ERR_DOCUMENT_INVALID', `${file} cannot be used; remove it and sign in again`, { cause });
  }
}

export function writeConfig(surroundings: Surroundings, config: CliConfig): string {
  const file = configFile(surroundings);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(fresh, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    renameSync(fresh, file);
  } finally {
    rmSync(fresh, { force: true });
  }
  return file;
}
