/**
 * Installing, upgrading and removing the service of an agent (docs/adr/0033). An upgrade is made from the folder of the new release: what the
 * service starts is one file, replaced in one rename, so at any moment there is one release that starts, the old one or the new one.
 */
import { readFile } from 'node:fs/promises';
import { readTextIfThere } from '../../certs/key-files.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { pause } from '../../shared/ports.ts';
import type { ServiceAccount } from './account.ts';
import { type Deed, type DeedPorts, perform } from './deeds.ts';
import { readLaunch, type ServiceFiles } from './definition.ts';
import type { ServiceDescription } from './describe.ts';
import { hostIn, settingsIn, stateIn } from './service-state.ts';
import { windowsErrors } from './windows.ts';

const START_SECONDS = 30;
/** The host lets the agent take 30 s. */
const STOP_SECONDS = 60;
const READY_SECONDS = 120;
const LOOK_MS = 500;

export interface ServicePorts extends DeedPorts {
  readonly files: ServiceFiles;
  /** When the agent on the data folder said last that it was ready; null when it never did. */
  readyAt(): { readonly version: string; readonly startedAt: number } | null;
}

/** What installs it, or brings one that is there to these settings. Whether the service exists is looked at when it is done. */
export function installDeeds({ commands, files }: ServicePorts, account: ServiceAccount, launch: string, isThere: boolean): Deed[] {
  return [
    { why: 'a folder for what the service starts', kind: 'folder', path: files.folder },
    { why: 'the service host, compiled of the sources that the agent brings', kind: 'compile', out: files.host },
    { why: 'what the host starts', kind: 'write', path: files.launch, text: launch },
    { why: 'entries of the event log are shown with their text', kind: 'run', command: commands.addEventSource },
    isThere
      ? { why: 'the service is there and takes these settings', kind: 'run', command: commands.configure(account) }
      : { why: 'the service itself, without a password', kind: 'run', command: commands.create(account) },
    { why: 'what it is', kind: 'run', command: commands.describe },
    { why: 'it is started again after a failure: in 5 s, 30 s, then each minute', kind: 'run', command: commands.recover },
    ...(account.isManaged ? managedDeeds() : []),
    // Its own account is known to Windows once the service is there.
    { why: 'only administrators and the agent come at the data folder', kind: 'run', command: commands.protectData(account) },
    { why: 'the agent reads what starts it, and does not change it', kind: 'run', command: commands.protectHost(account) },
    ...startDeeds(commands),
  ];

  function managedDeeds(): Deed[] {
    return [
      { why: 'Windows keeps the password of the account', kind: 'run', command: commands.manageAccount },
      { why: 'the account may log on as a service', kind: 'grantLogon', account: account.name, folder: files.folder },
    ];
  }
}

function startDeeds(commands: ServicePorts['commands']): Deed[] {
  return [
    { why: 'the service is started', kind: 'run', command: commands.start, done: [windowsErrors.alreadyRunning] },
    { why: 'and runs', kind: 'await', state: 'running', limitSeconds: START_SECONDS },
  ];
}

export function uninstallDeeds({ commands, files }: ServicePorts): Deed[] {
  const { doesNotExist, notActive, takesNoOrder, markedForDelete } = windowsErrors;
  return [
    { why: 'it is stopped', kind: 'run', command: commands.stop, done: [notActive, takesNoOrder, doesNotExist] },
    { why: 'and has ended', kind: 'await', state: 'stopped', limitSeconds: STOP_SECONDS },
    { why: 'the service is removed', kind: 'run', command: commands.remove, done: [doesNotExist, markedForDelete] },
    { why: 'its source of the event log goes', kind: 'run', command: commands.removeEventSource, done: [1] },
    { why: 'its host and what it started go; the data of the agent stays', kind: 'remove', path: files.folder },
  ];
}

/** `proven` is what the service started when it was last seen to run. */
export function upgradeDeeds({ commands, files }: ServicePorts, launch: string, proven: string): Deed[] {
  return [
    { why: 'the service host of this release', kind: 'compile', out: files.host },
    { why: 'what was started so far is kept', kind: 'write', path: files.proven, text: proven },
    { why: 'from here on this release is what starts', kind: 'write', path: files.launch, text: launch },
    { why: 'by this host', kind: 'run', command: commands.useHost(files.host) },
    ...restartDeeds(commands),
  ];
}

function restartDeeds(commands: ServicePorts['commands']): Deed[] {
  return [
    {
      why: 'the release that runs is stopped: commands under way finish or are resumed',
      kind: 'run',
      command: commands.stop,
      done: [windowsErrors.notActive, windowsErrors.takesNoOrder],
    },
    { why: 'and has ended', kind: 'await', state: 'stopped', limitSeconds: STOP_SECONDS },
    ...startDeeds(commands),
  ];
}

/** Throws ERR_NOT_FOUND without a service, ERR_SERVICE_FAILED when the new release did not get ready: then the old one runs again. */
export async function upgrade(ports: ServicePorts, launch: string, version: string): Promise<void> {
  const { files, clock } = ports;
  const { host } = await foundService(ports);
  // One that was killed on the way has not seen what it wrote run.
  const proven = (await readTextIfThere(files.proven)) ?? (await readFile(files.launch, 'utf8'));
  const startedAfter = clock.now();
  try {
    await perform(upgradeDeeds(ports, launch, proven), ports);
    await untilReady(ports, version, startedAfter);
    await perform(seenDeeds(ports, launch, proven), ports);
  } catch (failure) {
    if (launch === proven) throw failure;
    await perform(backDeeds(ports, proven, host), ports);
    const message = `the new release did not get ready, and the old one runs again: ${(failure as Error).message}`;
    throw new FarshoreError('ERR_SERVICE_FAILED', message, { cause: failure });
  }
}

/** The new release runs. */
function seenDeeds({ files }: ServicePorts, launch: string, proven: string): Deed[] {
  const kept: Deed[] = [{ why: 'what was started before is kept', kind: 'write', path: files.previous, text: proven }];
  return [...(launch === proven ? [] : kept), { why: 'the upgrade is done', kind: 'remove', path: files.proven }];
}

function backDeeds({ commands, files }: ServicePorts, proven: string, host: string): Deed[] {
  return [
    { why: 'the old release is what starts', kind: 'write', path: files.launch, text: proven },
    { why: 'by its host', kind: 'run', command: commands.useHost(host) },
    ...restartDeeds(commands),
    { why: 'the upgrade is taken back', kind: 'remove', path: files.proven },
  ];
}

/** The agent tells of itself once it has read its configuration and opened its journal and its site. */
async function untilReady({ clock, readyAt, files }: ServicePorts, version: string, startedAfter: number): Promise<void> {
  const end = clock.now() + READY_SECONDS * 1000;
  for (;;) {
    const ready = readyAt();
    // Told in whole milliseconds, by the same clock.
    if (ready !== null && ready.version === version && ready.startedAt >= startedAfter) return;
    if (clock.now() >= end)
      throw new FarshoreError(
        'ERR_SERVICE_FAILED',
        `release ${version} did not get ready within ${READY_SECONDS} s on ${files.dataFolder}`,
      );
    await pause(clock, LOOK_MS);
  }
}

export async function describeService({ windows, commands, files }: ServicePorts): Promise<ServiceDescription> {
  const state = stateIn(await windows.run(commands.query));
  const settings = settingsIn(await windows.run(commands.readSettings));
  const [launch, previous] = await Promise.all([readTextIfThere(files.launch), readTextIfThere(files.previous)]);
  return {
    name: files.name,
    state,
    account: settings?.account ?? null,
    start: settings?.start ?? null,
    host: settings === null ? null : hostIn(settings.imagePath),
    launch: launch === null ? null : readLaunch(launch),
    previous: previous === null ? null : readLaunch(previous),
  };
}

/** Throws ERR_NOT_FOUND. */
export async function foundService(ports: ServicePorts): Promise<{ readonly host: string }> {
  const { host, launch, name } = await describeService(ports);
  if (host === null || launch === null)
    throw new FarshoreError(
      'ERR_NOT_FOUND',
      `there is no service '${name}' on ${ports.files.dataFolder}; make it with: farshore-agent service install`,
    );
  return { host };
}
