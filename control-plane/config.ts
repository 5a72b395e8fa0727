/**
 * The control plane's configuration: `server.yaml` in its data folder, written by a person and read strictly. Without the
 * file it listens on this machine only.
 */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readTextIfThere } from '../certs/key-files.ts';
import { readDocument } from '../shared/document.ts';

const Port = z.int().min(1).max(65535);

const ConfigFile = z.strictObject({
  /** The name or address under which browsers, command lines and agents reach this machine. */
  name: z.union([z.hostname(), z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  /** Other names and addresses that the certificate shall be good for. */
  otherNames: z
    .array(z.union([z.hostname(), z.ipv4(), z.ipv6()]))
    .max(20)
    .default([]),
  /** The address of this machine to listen on: `0.0.0.0` or `::` for all. */
  listen: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  /** Console, API and registration. */
  apiPort: Port.default(8443),
  /** The agents' own listener. */
  agentPort: Port.default(8444),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      /** Beside this file unless absolute; left out: standard output. */
      file: z.string().min(1).optional(),
    })
    .default({ level: 'info' }),
});
export type ServerConfig = z.infer<typeof ConfigFile>;

/** Where the control plane keeps what. */
export function serverPaths(dataDir: string) {
  const folder = resolve(dataDir);
  return {
    folder,
    config: join(folder, 'server.yaml'),
    database: join(folder, 'farshore.db'),
    keys: join(folder, 'keys'),
    /** The authority that clients pin, for a person to hand on. */
    authority: join(folder, 'authority.pem'),
  };
}
export type ServerPaths = ReturnType<typeof serverPaths>;

/** Throws ERR_DOCUMENT_INVALID with every mistake in the file. */
export async function readServerConfig(paths: ServerPaths): Promise<ServerConfig> {
  const text = await readTextIfThere(paths.config);
  return text === null ? ConfigFile.parse({}) : readDocument(text, paths.config, ConfigFile);
}
