/**
 * The agent's configuration: `agent.yaml` in its data folder, written by a person and read strictly. Every other file
 * in the folder is the agent's own.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { decodeText } from '../shared/decode-text.ts';
import { readDocument } from '../shared/document.ts';
import { FarshoreError } from '../shared/errors.ts';
import { HyperVConfig } from './fabric/hyperv/hyperv-config.ts';

const ConfigFile = z.strictObject({
  fabric: z.discriminatedUnion('kind', [
    /** A site that lives in a database beside this file, described by a site file. */
    z.strictObject({ kind: z.literal('simulated'), site: z.string().min(1) }),
    /** Real machines on this host, run by QEMU and described by a site file. */
    z.strictObject({ kind: z.literal('qemu'), site: z.string().min(1) }),
    /** Hyper-V hosts, with SCVMM or without, driven by PowerShell. */
    HyperVConfig,
  ]),
  /** `http://[user:password@]host:port`, 'none' for a direct way; left out: as the environment says. */
  proxy: z.union([z.literal('none'), z.url({ protocol: /^https?$/ })]).optional(),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      /** Beside this file unless absolute; left out: standard output, and of a Windows service `logs/agent.log`. */
      file: z.string().min(1).optional(),
      /** Of one file; then the next is begun. */
      megabytes: z.int().min(1).max(10_000).default(20),
      /** With the newest. */
      files: z.int().min(1).max(1000).default(10),
    })
    .default({ level: 'info', megabytes: 20, files: 10 }),
  /** The folder with the scripts that plans may run here, beside this file unless absolute; left out: none is run. */
  scripts: z.strictObject({ folder: z.string().min(1) }).optional(),
  inventoryEverySeconds: z.int().min(1).max(3600).default(5),
  fabricCallSeconds: z.int().min(1).max(86_400).default(300),
  fabricCallsAtOnce: z.int().min(1).max(1000).default(64),
  egress: z
    .strictObject({ days: z.int().min(1).max(3660).default(365), megabytes: z.int().min(16).max(1_000_000).default(1024) })
    .default({ days: 365, megabytes: 1024 }),
});
export type AgentConfig = z.infer<typeof ConfigFile>;

/** Where the agent keeps what. */
export function agentPaths(dataDir: string) {
  const folder = resolve(dataDir);
  return {
    folder,
    config: join(folder, 'agent.yaml'),
    journal: join(folder, 'agent.db'),
    site: join(folder, 'site.db'),
    /** Which pairings the hosts of a Hyper-V site are prepared for. */
    preparations: join(folder, 'hyperv-preparations.json'),
    egress: join(folder, 'egress'),
    /** What scripts said, and copies of those that run. */
    scripts: join(folder, 'scripts-work'),
    status: join(folder, 'status.json'),
    serviceLog: join(folder, 'logs', 'agent.log'),
  };
}
export type AgentPaths = ReturnType<typeof agentPaths>;

/** Throws ERR_NOT_FOUND without the file, ERR_DOCUMENT_INVALID with every mistake in it. */
export async function readConfig(paths: AgentPaths): Promise<AgentConfig> {
  let text: string;
  try {
    text = decodeText(await readFile(paths.config));
  } catch (cause) {
    throw new FarshoreError('ERR_NOT_FOUND', `${paths.config} cannot be read; write one that names the fabric of the site`, { cause });
  }
  return readDocument(text, paths.config, ConfigFile);
}
