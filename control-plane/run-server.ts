/**
 * Puts the control plane together on a real machine: data folder, keys, database, core, two listeners. Called by main.ts alone,
 * which hands it the system's time and chance.
 */
import { once } from 'node:events';
import { createServer } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { resolve } from 'node:path';
import express from 'express';
import { type Logger, pino } from 'pino';
import { makePrivateFolder, writeFileDurably } from '../certs/key-files.ts';
import { FarshoreError } from '../shared/errors.ts';
import type { Clock, Random } from '../shared/ports.ts';
import { createApi } from './api/app.ts';
import { prepareSetup } from './api/set-up.ts';
import { Enrolment } from './channel/enrolment.ts';
import { enrolmentRoutes } from './channel/enrolment-routes.ts';
import { AgentListener } from './channel/listener.ts';
import { readServerConfig, type ServerConfig, type ServerPaths } from './config.ts';
import { type ControlPlaneCore, makeControlPlaneCore } from './core.ts';
import { Keys } from './keys.ts';
import { Bell } from './store/bell.ts';
import { openStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';

const CLOSE_WITHIN_MS = 3_000;

export interface Surroundings {
  readonly paths: ServerPaths;
  readonly clock: Clock;
  readonly random: Random;
  readonly defer: (callback: () => void) => void;
}

export interface RunningServer {
  readonly address: string;
  /** For the server's own terminal; null once there is a vault. */
  readonly setUpLink: string | null;
  stop(): Promise<void>;
}

/** Throws ERR_DOCUMENT_INVALID for its configuration, ERR_STORE_FAILED, ERR_CONFLICT when a port is taken. */
export async function runServer(surroundings: Surroundings): Promise<RunningServer> {
  const { paths, clock, random, defer } = surroundings;
  await makePrivateFolder(paths.folder);
  const config = await readServerConfig(paths);
  const log = openLog(config, paths);
  const keys = await Keys.open(paths.keys, clock, random);
  await writeFileDurably(paths.authority, keys.authority.certificate);
  const server = await keys.authority.issueServer(namesOf(config), clock.now());
  const store = await openStore({ file: paths.database, defer });
  try {
    const bell = new Bell();
    const core = makeControlPlaneCore({
      store,
      bell,
      clock,
      random,
      log,
      defer,
      replication: keys.replication,
      signerOf: (vaultId) => keys.issuerOf(vaultId),
    });
    // Before the first agent is let in, so that what it answers finds the job that asked.
    await core.resume();
    const agents = await AgentListener.start({
      hub: core.hub,
      authority: keys.authority,
      store,
      server,
      clock,
      log,
      host: config.listen,
      port: config.agentPort,
    }).catch(portTaken(config.listen, config.agentPort));
    const api = await listenForPeople(config, { ...surroundings, log, keys, server, store, bell, core, agents });
    const address = `https://${forUrl(config.name)}:${config.apiPort}`;
    const setUpLink = await prepareSetup({ store, clock, random }, address);
    log.info({ address, agentPort: config.agentPort }, 'control plane ready');
    return {
      address,
      setUpLink,
      async stop() {
        core.stop();
        await Promise.all([api.close(), agents.close()]);
        await store.close();
        log.info({}, 'control plane stopped');
        log.flush();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Parts extends Surroundings {
  readonly log: Logger;
  readonly keys: Keys;
  readonly server: { readonly certificate: string; readonly key: string };
  readonly store: Store;
  readonly bell: Bell;
  readonly core: ControlPlaneCore;
  readonly agents: AgentListener;
}

/** API, set-up page and enrolment: what speaks without a client certificate. */
async function listenForPeople(config: ServerConfig, parts: Parts): Promise<{ close(): Promise<void> }> {
  const { keys, server, store, core, agents, bell, clock, random, log } = parts;
  const address = `https://${forUrl(config.name)}:${config.apiPort}`;
  const enrolment = new Enrolment({
    store: store.enrolment,
    authority: keys.authority,
    channel: `wss://${forUrl(config.name)}:${config.agentPort}/agent`,
    issuerKeys: (vaultId) => [keys.issuerOf(vaultId).publicPem],
    clock,
    random,
  });
  const api = createApi({
    store,
    bell,
    clock,
    random,
    log,
    operations: core.operations,
    presence: core.hub,
    looks: core.hub,
    registration: { address, authorityDigest: keys.authority.digest },
    revokeAgent: (vaultId, id) => agents.revoke(vaultId, id),
  });
  const app = express();
  app.disable('x-powered-by');
  app.use(enrolmentRoutes(enrolment, { onRefused: (error, path) => log.warn({ code: error.code, path }, 'enrolment refused') }));
  app.use(api.app);
  const listener = createServer({ cert: server.certificate, key: server.key, minVersion: 'TLSv1.3' }, app);
  const sockets = new Set<Socket>();
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  listener.listen(config.apiPort, config.listen);
  await once(listener, 'listening').catch(portTaken(config.listen, config.apiPort));
  return {
    async close() {
      const closed = once(listener, 'close');
      listener.close();
      api.close();
      listener.closeIdleConnections();
      // Answers under way may still leave; whoever connected and says nothing does not keep us.
      const cancel = clock.after(CLOSE_WITHIN_MS, () => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      cancel();
    },
  };
}

function openLog({ log }: ServerConfig, { folder }: ServerPaths): Logger {
  return pino(
    { level: log.level },
    pino.destination({ dest: log.file === undefined ? 1 : resolve(folder, log.file), mkdir: true, sync: true }),
  );
}

function namesOf({ name, otherNames }: ServerConfig): { dnsNames: string[]; addresses: string[] } {
  const names = [...new Set([name, ...otherNames])];
  return { dnsNames: names.filter((each) => isIP(each) === 0), addresses: names.filter((each) => isIP(each) !== 0) };
}

const forUrl = (name: string) => (isIP(name) === 6 ? `[${name}]` : name);

function portTaken(host: string, port: number) {
  return (cause: unknown): never => {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    const message = `port ${port} on ${host} is taken: end what listens there, or choose another in server.yaml`;
    throw new FarshoreError('ERR_CONFLICT', message, { cause });
  };
}
