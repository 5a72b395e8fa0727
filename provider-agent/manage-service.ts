/** What `farshore-agent service ...` does. */
import { resolve } from 'node:path';
import { readTextIfThere } from '../certs/key-files.ts';
import { FarshoreError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { agentPaths, readConfig } from './config.ts';
import { loadIdentity } from './enroll/identity.ts';
import { readStatus } from './local/status-file.ts';
import { readAccount } from './service/account.ts';
import { serviceCommands } from './service/commands.ts';
import { type Deed, describeDeed, perform } from './service/deeds.ts';
import { launchText, serviceFiles } from './service/definition.ts';
import { formatService, type ServiceDescription } from './service/describe.ts';
import {
  describeService,
  foundService,
  installDeeds,
  type ServicePorts,
  uninstallDeeds,
  upgrade,
  upgradeDeeds,
} from './service/service.ts';
import { realWindows, systemPrograms } from './service/windows.ts';
import { checkJournal } from './state/sqlite-journal.ts';

export interface ServiceSurroundings {
  readonly platform: NodeJS.Platform;
  readonly systemRoot: string | undefined;
  readonly clock: Clock;
  /** The program and the script that run now: of this release. */
  readonly node: string;
  readonly script: string;
  readonly version: string;
  print(line: string): void;
}

export interface Given {
  readonly data: string;
  readonly name: string;
  readonly whatIf: boolean;
  readonly json: boolean;
}

export async function install(given: Given & { account: string }, surroundings: ServiceSurroundings): Promise<void> {
  const ports = portsOf(given, surroundings);
  const account = readAccount(given.account, given.name);
  const launch = launchOf(given, surroundings);
  if (!given.whatIf) {
    refuseElsewhere(surroundings);
    await refuseUnlessStartable(given);
  }
  const isThere = !given.whatIf && (await describeService(ports)).state !== null;
  await act(given, surroundings, installDeeds(ports, account, launch, isThere));
}

export async function upgradeTo(given: Given, surroundings: ServiceSurroundings): Promise<void> {
  const ports = portsOf(given, surroundings);
  const launch = launchOf(given, surroundings);
  if (given.whatIf) return act(given, surroundings, upgradeDeeds(ports, launch, (await readTextIfThere(ports.files.launch)) ?? ''));
  refuseElsewhere(surroundings);
  await foundService(ports);
  await refuseUnlessStartable(given);
  await upgrade(ports, launch, surroundings.version);
  tell(await describeService(ports), given, surroundings);
}

export function uninstall(given: Given, surroundings: ServiceSurroundings): Promise<void> {
  return act(given, surroundings, uninstallDeeds(portsOf(given, surroundings)));
}

/** How the service stands, for `check`; null where there are none. */
export function serviceLook(
  given: Pick<Given, 'data' | 'name'>,
  surroundings: ServiceSurroundings,
): (() => Promise<ServiceDescription>) | null {
  if (surroundings.platform !== 'win32') return null;
  return () => describeService(portsOf({ ...given, whatIf: false, json: true }, surroundings));
}

export async function status(given: Given, surroundings: ServiceSurroundings): Promise<void> {
  refuseElsewhere(surroundings);
  tell(await describeService(portsOf(given, surroundings)), given, surroundings);
}

async function act(given: Given, surroundings: ServiceSurroundings, deeds: readonly Deed[]): Promise<void> {
  const ports = portsOf(given, surroundings);
  if (given.whatIf) {
    if (given.json) surroundings.print(JSON.stringify(deeds, null, 2));
    else for (const deed of deeds) surroundings.print(describeDeed(deed, ports.commands));
    return;
  }
  refuseElsewhere(surroundings);
  await perform(deeds, ports);
  tell(await describeService(ports), given, surroundings);
}

function portsOf({ data, name, json }: Given, { systemRoot, clock, print }: ServiceSurroundings): ServicePorts {
  const paths = agentPaths(data);
  const files = serviceFiles(name, paths.folder);
  return {
    windows: realWindows,
    files,
    clock,
    commands: serviceCommands(systemPrograms(systemRoot), files),
    onDeed: ({ why }) => {
      if (!json) print(why);
    },
    readyAt() {
      const status = readStatus(paths.status);
      return status === null ? null : { version: status.version, startedAt: Date.parse(status.startedAt) };
    },
  };
}

function launchOf({ data }: Given, { node, script }: ServiceSurroundings): string {
  return launchText(node, script, resolve(data));
}

/** What would keep this release from starting, before anything is changed: agent.yaml, the identity, the journal. */
async function refuseUnlessStartable({ data }: Given): Promise<void> {
  const paths = agentPaths(data);
  await readConfig(paths);
  if ((await loadIdentity(paths.folder)) === null)
    throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'this agent is not registered: run `farshore-agent register` first');
  await checkJournal(paths.journal);
}

function refuseElsewhere({ platform }: ServiceSurroundings): void {
  if (platform === 'win32') return;
  throw new FarshoreError(
    'ERR_REQUEST_INVALID',
    'services are of Windows: on other systems let the service manager of the system (systemd) start `farshore-agent run`; --what-if shows anywhere what would be done',
  );
}

function tell(description: ServiceDescription, { json }: Given, { print }: ServiceSurroundings): void {
  print(json ? JSON.stringify(description, null, 2) : formatService(description));
  if (description.state === null) process.exitCode = 3;
}
