/**
 * Scripts in a folder of the site. The bytes are read once, from a file that was opened without following a link; their digest is held
 * against the plan's, and exactly they are written to a place of our own and run from there. So nobody can change a script between
 * the check and the run, and a script cannot draw in a file beside it that nobody pinned.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, mkdir, open, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { Clock, Log, Random } from '../../shared/ports.ts';
import { runProcess } from './run-process.ts';
import { interpreterOf, isScriptName } from './script-name.ts';
import type { ScriptEnd, ScriptEntry, ScriptOrder, Scripts } from './scripts.ts';
import { trustFile, trustFolder } from './trust.ts';

export interface ScriptFolderPorts {
  /** Null: this site has none, and runs no script. */
  readonly folder: string | null;
  /** A folder of the agent's own, for what is run and what it said. */
  readonly workFolder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const SCRIPT_BYTES_MOST = 1024 * 1024;
const SCRIPTS_MOST = 500;
const KEEP_OUTPUT_MS = 90 * 86_400_000;

/** Of the environment of the agent, what a program needs to run; no proxy with its password, no token. */
const handedOn =
  'PATH Path PATHEXT SystemRoot SystemDrive windir ComSpec TEMP TMP TMPDIR HOME LANG PSModulePath USERPROFILE USERNAME USERDOMAIN COMPUTERNAME ProgramData ProgramFiles APPDATA LOCALAPPDATA'.split(
    ' ',
  );

export class ScriptFolder implements Scripts {
  readonly #ports: ScriptFolderPorts;

  constructor(ports: ScriptFolderPorts) {
    this.#ports = ports;
  }

  async list(): Promise<readonly ScriptEntry[]> {
    try {
      const folder = await this.#trusted();
      const names = (await readdir(folder)).filter(isScriptName).sort().slice(0, SCRIPTS_MOST);
      const found = await Promise.all(names.map((name) => this.#entry(folder, name)));
      return found.filter((entry) => entry !== null);
    } catch (thrown) {
      if (this.#ports.folder !== null) this.#ports.log.warn({ err: toFarshoreError(thrown) }, 'scripts folder cannot be used');
      return [];
    }
  }

  async run(order: ScriptOrder): Promise<ScriptEnd> {
    const { clock, random, log } = this.#ports;
    const { name, sha256, commandId } = order;
    const bytes = await readScript(await this.#trusted(), name);
    const found = digestOf(bytes);
    if (found !== sha256) throw new FarshoreError('ERR_SCRIPT_CHANGED', `${name} has the digest ${found}, and the plan names ${sha256}`);
    const outputRef = random.uuid();
    const output = await this.#makeFolder('script-output');
    await forgetOld(output, clock.now() - KEEP_OUTPUT_MS);
    const folder = await this.#makeFolder('script-run', random.uuid());
    try {
      const path = join(folder, name);
      await writeFile(path, bytes, { mode: 0o500, flag: 'wx' });
      const begunAt = clock.now();
      const outputFile = join(output, `${outputRef}.txt`);
      const { file, args } = interpreterOf(name, path, process.platform, process.env);
      const environment = { ...inherited(), ...order.environment };
      log.info({ commandId, script: name, sha256, outputFile }, 'script is run');
      const exitCode = await runProcess({ file, args, folder, environment, input: order.input, limitMs: order.limitMs, outputFile }, clock);
      const end = { exitCode, durationMs: clock.now() - begunAt, outputRef };
      log.info({ commandId, script: name, ...end }, exitCode === null ? 'script was ended at its limit' : 'script has ended');
      return end;
    } finally {
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) =>
        log.warn({ err: error }, 'copy of a script could not be removed'),
      );
    }
  }

  /** The folder by its real path. Throws ERR_SCRIPT_MISSING, ERR_SCRIPTS_UNSAFE. */
  async #trusted(): Promise<string> {
    const { folder } = this.#ports;
    if (folder === null) throw new FarshoreError('ERR_SCRIPT_MISSING', 'this agent has no scripts folder: agent.yaml names none');
    const real = await realpath(folder).catch((cause: unknown) => {
      throw new FarshoreError('ERR_SCRIPT_MISSING', `the scripts folder ${folder} is not there`, { cause });
    });
    await trustFolder(real);
    return real;
  }

  async #entry(folder: string, name: string): Promise<ScriptEntry | null> {
    try {
      return { name, sha256: digestOf(await readScript(folder, name)) };
    } catch (error) {
      this.#ports.log.warn({ err: error, script: name }, 'a script cannot be used');
      return null;
    }
  }

  async #makeFolder(...parts: string[]): Promise<string> {
    const folder = join(this.#ports.workFolder, ...parts);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    return folder;
  }
}

/** Throws ERR_SCRIPT_MISSING, ERR_SCRIPTS_UNSAFE. */
async function readScript(folder: string, name: string): Promise<Buffer> {
  if (!isScriptName(name)) throw new FarshoreError('ERR_SCRIPT_MISSING', `'${name}' is no name of a script`);
  const path = join(folder, name);
  // Neither a link is followed nor a pipe waited for; both flags are 0 where the system has none.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = await open(path, flags).catch((cause: unknown) => {
    throw new FarshoreError('ERR_SCRIPT_MISSING', `${path} cannot be opened`, { cause });
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > SCRIPT_BYTES_MOST)
      throw new FarshoreError('ERR_SCRIPT_MISSING', `${path} is no file of at most ${SCRIPT_BYTES_MOST} bytes`);
    await trustFile(path, stats);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(handedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

async function forgetOld(folder: string, before: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if ((await stat(path)).mtimeMs < before) await rm(path, { force: true });
  }
}
