/**
 * Puts the agent together on a real machine: data folder, fabric, way out, core, renewal. Called by main.ts alone, which
 * hands it the system's time and chance.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { decodeText } from '../shared/decode-text.ts';
import { type ErrorCode, errorCodes, FarshoreError } from '../shared/errors.ts';
import { type Clock, isoMoment, type Log, type Random } from '../shared/ports.ts';
import type { ChannelStatus } from './channel/channel.ts';
import { dialWebSocket, type WayOut, wayThroughProxy } from './channel/dial.ts';
import { chooseProxy, type Environment } from './channel/proxy-choice.ts';
import { networkLooks } from './commands/network-looks.ts';
import { type AgentConfig, type AgentPaths, readConfig } from './config.ts';
import { startAgentCore } from './core.ts';
import { type Identity, loadIdentity } from './enroll/identity.ts';
import { IssuerKeys } from './enroll/issuer-keys.ts';
import { parseProxy } from './enroll/proxy.ts';
import { Renewal } from './enroll/renewal.ts';
import { SiteAuthority } from './enroll/site-authority.ts';
import type { Fabric } from './fabric/fabric.ts';
import type { HyperVConfig } from './fabric/hyperv/hyperv-config.ts';
import { ConnectionWatch, seldom, type TellAdministrator } from './local/administrator-events.ts';
import { LogFile } from './local/log-file.ts';
import { writeStatus } from './local/status-file.ts';
import { ScriptFolder } from './scripts/script-folder.ts';
import { lockDataFolder } from './state/data-lock.ts';
import { EgressLedger } from './state/egress-ledger.ts';
import { openJournal } from './state/sqlite-journal.ts';

export interface Surroundings {
  readonly paths: AgentPaths;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly defer: (callback: () => void) => void;
  readonly environment: Environment;
  /** As a Windows service: the log goes to a file, and what an administrator wants to know to the event log. */
  readonly service?: { readonly tell: TellAdministrator };
}

export interface RunningAgent {
  readonly runningCommands: number;
  /** Lets commands under way finish for a while, then closes everything. */
  stop(): Promise<void>;
}

/** Throws ERR_CONFLICT when one runs there already, ERR_CERTIFICATE_UNKNOWN when not registered, and what the configuration or the site file lacks. */
export async function runAgent(surroundings: Surroundings): Promise<RunningAgent> {
  const { paths } = surroundings;
  const lock = await lockDataFolder(paths.folder);
  // What is open when a later part fails would keep a process alive that does nothing.
  const opened: { close(): unknown }[] = [{ close: () => lock.release() }];
  try {
    const config = await readConfig(paths);
    const identity = await loadIdentity(paths.folder);
    if (identity === null)
      throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'this agent is not registered: run `farshore-agent register` first');
    const log = await openLog(config, surroundings);
    const fabric = await openFabric(config, surroundings);
    opened.unshift(fabric);
    const egress = openLedger(config.egress, surroundings);
    opened.unshift(egress);
    const { core, renewal, watch } = await compose(config, identity, surroundings, { log, fabric, egress });
    log.info({ agentId: identity.agentId, siteId: identity.siteId, version: surroundings.version }, 'agent ready');
    const tell = surroundings.service?.tell ?? (() => {});
    tell('started', `The agent ${identity.agentId} of site ${identity.siteId} runs, release ${surroundings.version}, on ${paths.folder}.`);
    return {
      get runningCommands() {
        return core.runningCommands;
      },
      async stop() {
        log.info({ runningCommands: core.runningCommands }, 'agent stops');
        renewal.stop();
        watch.stop();
        await core.stop();
        await fabric.close();
        egress.close();
        lock.release();
        log.info({}, 'agent stopped');
        log.flush();
        tell('stopped', 'The agent has stopped.');
      },
    };
  } catch (error) {
    for (const part of opened) await part.close();
    throw error;
  }
}

export function openLedger({ days, megabytes }: AgentConfig['egress'], { paths, clock }: Surroundings): EgressLedger {
  return new EgressLedger({ folder: paths.egress, clock, days, totalBytes: megabytes * 1024 * 1024 });
}

export function scriptsOf(
  config: AgentConfig,
  ports: Pick<Surroundings, 'paths' | 'clock' | 'random'> & { readonly log: Log },
): ScriptFolder {
  const { paths, clock, random, log } = ports;
  const folder = config.scripts === undefined ? null : resolve(paths.folder, config.scripts.folder);
  return new ScriptFolder({ folder, workFolder: paths.scripts, clock, random, log });
}

interface Parts {
  readonly log: Logger;
  readonly fabric: Fabric;
  readonly egress: EgressLedger;
}

async function compose(config: AgentConfig, identity: Identity, surroundings: Surroundings, parts: Parts) {
  const { paths, version, clock, random, defer, environment } = surroundings;
  let present = identity;
  const proxy = await wayThroughProxy(chooseProxy(identity.channel, config.proxy ?? null, environment));
  const wayOut = (): WayOut => ({ ...present, proxy });
  const tell = surroundings.service?.tell ?? (() => {});
  const watch = new ConnectionWatch(clock, tell);
  const tellStatus = statusFile(surroundings, parts.log);
  const core = startAgentCore({
    ...parts,
    identity,
    clock,
    random,
    defer,
    agentVersion: version,
    journal: await openJournal(paths.journal, defer),
    verifier: new IssuerKeys(identity.issuerKeys),
    certificates: new SiteAuthority({ dataDir: paths.folder, siteId: identity.siteId, clock, random }),
    network: networkLooks,
    scripts: scriptsOf(config, { ...surroundings, log: parts.log }),
    dial: dialWebSocket(wayOut),
    settings: {
      inventoryEveryMs: config.inventoryEverySeconds * 1000,
      fabricCallLimitMs: config.fabricCallSeconds * 1000,
      fabricCallsAtOnce: config.fabricCallsAtOnce,
    },
    onStatus(status) {
      tellStatus(status);
      watch.status(status);
    },
    onRefused: tellRefusals(seldom(tell, clock)),
  });
  const renewal = startRenewal(config, identity, surroundings, parts, (renewed) => {
    present = renewed;
    core.reconnect('the certificate was renewed');
  });
  return { core, renewal, watch };
}

/** What is more than a failure of the day: another owner of a VM, and a command that is not the control plane's. */
function tellRefusals(tell: TellAdministrator): (code: ErrorCode) => void {
  return (code) => {
    const { cause, remedy } = errorCodes[code];
    const said = `${cause} ${remedy} (${code}; the log of the agent tells which)`;
    if (code === 'ERR_EPOCH_STALE') tell('fenced', `A command was not done. ${said}`);
    if (code.startsWith('ERR_ENVELOPE_')) tell('envelopeRefused', `A command was not taken. ${said}`);
  };
}

function statusFile({ paths, version, clock }: Surroundings, log: Logger): (channel: ChannelStatus) => void {
  const startedAt = isoMoment(clock.now());
  return (channel) => {
    try {
      writeStatus(paths.status, { pid: process.pid, version, startedAt, channel });
    } catch (error) {
      log.warn({ err: error }, 'status could not be written');
    }
  };
}

function startRenewal(
  config: AgentConfig,
  identity: Identity,
  { paths, clock, random, environment }: Surroundings,
  { log, egress }: Parts,
  use: (renewed: Identity) => void,
): Renewal {
  const { address, agentId, requestPem } = identity;
  const proxy = chooseProxy(address, config.proxy ?? null, environment);
  const noteSent = () => egress.note(JSON.stringify({ type: 'enrol.renew', agentId, csr: requestPem }));
  const renewal = new Renewal({
    identity,
    clock,
    random,
    dataDir: paths.folder,
    proxy: proxy === null ? null : parseProxy(proxy),
    onRenewed(renewed) {
      log.info({}, 'certificate renewed');
      use(renewed);
      noteSent();
    },
    onFailed(error, retryInMs) {
      log.warn({ err: error, retryInMs }, 'certificate could not be renewed');
      noteSent();
    },
  });
  renewal.start();
  return renewal;
}

async function openLog(config: AgentConfig, { paths, service }: Surroundings): Promise<Logger> {
  const { pino } = await import('pino');
  const { level, file, megabytes, files } = config.log;
  const path = file === undefined ? service && paths.serviceLog : resolve(paths.folder, file);
  if (path === undefined) return pino({ level }, pino.destination({ dest: 1, sync: true }));
  const onFault = (error: unknown) => process.stderr.write(`farshore-agent: ${path} cannot be written: ${String(error)}\n`);
  return pino({ level }, new LogFile({ path, megabytes, files, onFault }));
}

function openFabric(config: AgentConfig, surroundings: Surroundings): Promise<Fabric> {
  const { fabric } = config;
  switch (fabric.kind) {
    case 'simulated':
      return openSimulated(fabric.site, surroundings);
    case 'qemu':
      return openQemu(fabric.site, surroundings);
    case 'hyperv':
      return openHyperV(fabric, config, surroundings);
  }
}

async function openSimulated(site: string, { paths, clock, random }: Surroundings): Promise<Fabric> {
  const { SimulatedSite } = await import('./fabric/simulated/simulated-site.ts');
  const { readSiteFile } = await import('./fabric/simulated/site-definition.ts');
  const { text, file } = await readSiteText(site, paths);
  return SimulatedSite.open({ definition: readSiteFile(text, file), databaseFile: paths.site, clock, random });
}

async function openQemu(site: string, { paths, clock, random }: Surroundings): Promise<Fabric> {
  const { openQemuSite } = await import('./fabric/qemu/open-qemu.ts');
  const { text, file } = await readSiteText(site, paths);
  return openQemuSite({ text, fileName: file, databaseFile: paths.site, clock, random });
}

/** Throws ERR_NOT_FOUND. */
async function readSiteText(site: string, paths: AgentPaths): Promise<{ text: string; file: string }> {
  const file = resolve(paths.folder, site);
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new FarshoreError('ERR_NOT_FOUND', `the site file that agent.yaml names cannot be read: ${file}`, { cause });
  });
  return { text: decodeText(bytes), file };
}

async function openHyperV(
  config: HyperVConfig,
  { fabricCallSeconds }: AgentConfig,
  { paths, clock, random }: Surroundings,
): Promise<Fabric> {
  const { openHyperVFabric } = await import('./fabric/hyperv/open-hyperv.ts');
  return openHyperVFabric({ config, preparationsFile: paths.preparations, callLimitMs: fabricCallSeconds * 1000, clock, random });
}
