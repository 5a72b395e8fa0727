/** `farshore-agent check`: every check of this agent and of its fabric. Nothing is changed, and an agent may run meanwhile. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { decodeText } from '../shared/decode-text.ts';
import { FarshoreError, toFarshoreError } from '../shared/errors.ts';
import { chooseProxy } from './channel/proxy-choice.ts';
import { type AgentCheckPorts, agentChecks } from './check/agent-checks.ts';
import { runChecks } from './check/run-checks.ts';
import { type AgentConfig, readConfig } from './config.ts';
import { loadIdentity } from './enroll/identity.ts';
import { parseProxy } from './enroll/proxy.ts';
import type { CheckFinding, SiteCheck } from './fabric/site-check.ts';
import type { Surroundings } from './run-agent.ts';
import { isDataFolderLocked } from './state/data-lock.ts';
import { checkJournal } from './state/sqlite-journal.ts';

const MEGABYTE = 1024 * 1024;

/** Throws ERR_NOT_FOUND and ERR_DOCUMENT_INVALID of agent.yaml: without it nothing else can be looked at. */
export async function checkSite(surroundings: Surroundings, service: AgentCheckPorts['service']): Promise<CheckFinding[]> {
  const { paths } = surroundings;
  if (!existsSync(paths.folder)) throw new FarshoreError('ERR_NOT_FOUND', `there is no data folder ${paths.folder}`);
  const config = await readConfig(paths);
  const { checks, close } = await fabricChecks(config, surroundings);
  try {
    return await runChecks([...(await checksOfAgent(config, surroundings, service)), ...checks]);
  } finally {
    close();
  }
}

async function checksOfAgent(
  config: AgentConfig,
  { paths, clock, environment }: Surroundings,
  service: AgentCheckPorts['service'],
): Promise<SiteCheck[]> {
  const identity = await loadIdentity(paths.folder).catch((error: unknown) => toFarshoreError(error));
  if (identity instanceof FarshoreError) return [{ name: 'agent.identity', run: () => Promise.reject(identity) }];
  const proxy = identity === null ? null : chooseProxy(identity.channel, config.proxy ?? null, environment);
  return agentChecks({
    folder: paths.folder,
    identity,
    proxy: proxy === null ? null : parseProxy(proxy),
    checkJournal: () => checkJournal(paths.journal),
    service,
    isRunning: await isDataFolderLocked(paths.folder),
    bytesWanted: (config.egress.megabytes + config.log.megabytes * config.log.files) * MEGABYTE,
    clock,
  });
}

async function fabricChecks(config: AgentConfig, surroundings: Surroundings): Promise<{ checks: readonly SiteCheck[]; close(): void }> {
  const { fabric, fabricCallSeconds } = config;
  const { clock, random } = surroundings;
  switch (fabric.kind) {
    case 'simulated':
      return {
        checks: [{ name: 'simulated.site', run: () => checkSiteFile(resolve(surroundings.paths.folder, fabric.site)) }],
        close: () => {},
      };
    case 'qemu':
      return { checks: await qemuChecks(resolve(surroundings.paths.folder, fabric.site)), close: () => {} };
    case 'hyperv': {
      const { openHyperVChecks } = await import('./fabric/hyperv/open-hyperv.ts');
      return openHyperVChecks({ config: fabric, callLimitMs: fabricCallSeconds * 1000, clock, random });
    }
  }
}

async function checkSiteFile(file: string): Promise<CheckFinding[]> {
  const { readSiteFile } = await import('./fabric/simulated/site-definition.ts');
  const { clouds, vms } = readSiteFile(decodeText(await readFile(file)), file);
  return [{ check: 'simulated.site', subject: file, state: 'ok', found: `clouds: ${clouds.length}, VMs: ${vms.length}` }];
}

/** Those of the host follow from the site file: a file that cannot be read is the only thing told then. */
async function qemuChecks(file: string): Promise<readonly SiteCheck[]> {
  const { readQemuSite } = await import('./fabric/qemu/site-definition.ts');
  const { requirements } = await import('./fabric/qemu/requirements.ts');
  const check = 'qemu.site';
  try {
    const { definition, needs } = await readQemuSite(decodeText(await readFile(file)), file);
    const found = `clouds: ${definition.clouds.length}, VMs: ${definition.vms.length}`;
    return [{ name: check, run: async () => [{ check, subject: file, state: 'ok', found }] }, ...requirements(needs)];
  } catch (error) {
    return [{ name: check, run: () => Promise.reject(error) }];
  }
}
