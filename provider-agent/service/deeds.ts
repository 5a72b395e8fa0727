/**
 * What managing a service does, as a list that is shown before it is done (`--what-if`). Each deed may be done again: whoever is killed
 * between two of them starts from the first.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../../certs/key-files.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { type Clock, pause } from '../../shared/ports.ts';
import type { ServiceCommands } from './commands.ts';
import { templateBytes, templateGranting, templateText } from './logon-right.ts';
import { type ServiceState, stateIn } from './service-state.ts';
import { shown, type Windows, type WindowsCommand, windowsErrors } from './windows.ts';

export type Deed = { readonly why: string } & (
  | {
      readonly kind: 'run';
      readonly command: WindowsCommand /** Exit codes that mean done, beside 0. */;
      readonly done?: readonly number[];
    }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly text: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'compile'; readonly out: string }
  | { readonly kind: 'grantLogon'; readonly account: string; readonly folder: string }
  | { readonly kind: 'await'; readonly state: ServiceState; readonly limitSeconds: number }
);

export interface DeedPorts {
  readonly windows: Windows;
  readonly commands: ServiceCommands;
  readonly clock: Clock;
  /** Before each. */
  onDeed(deed: Deed): void;
}

const LOOK_MS = 500;

export async function perform(deeds: readonly Deed[], ports: DeedPorts): Promise<void> {
  for (const deed of deeds) {
    ports.onDeed(deed);
    await performOne(deed, ports);
  }
}

/** One line or two, for a person. */
export function describeDeed(deed: Deed, commands: ServiceCommands): string {
  return `${deed.why}\n    ${whatItDoes(deed, commands)}`;
}

function whatItDoes(deed: Deed, commands: ServiceCommands): string {
  switch (deed.kind) {
    case 'run':
      return shown(deed.command);
    case 'folder':
      return `make the folder ${deed.path}`;
    case 'write':
      return `write ${deed.path}: ${deed.text.trim().split(/\r?\n/).join(' | ')}`;
    case 'remove':
      return `remove ${deed.path}`;
    case 'compile':
      return shown(commands.compile(deed.out));
    case 'grantLogon':
      return `${shown(commands.exportRights('<file>'))}, then with ${deed.account} added ${shown(commands.setRights('<file>', '<database>'))}`;
    case 'await':
      return `wait up to ${deed.limitSeconds} s until it is ${deed.state}`;
  }
}

async function performOne(deed: Deed, ports: DeedPorts): Promise<void> {
  switch (deed.kind) {
    case 'run':
      return runCommand(deed.command, ports.windows, deed.done);
    case 'folder':
      await mkdir(deed.path, { recursive: true });
      return;
    case 'write':
      return writeFileDurably(deed.path, deed.text);
    case 'remove':
      return rm(deed.path, { recursive: true, force: true });
    case 'compile':
      return compile(deed.out, ports);
    case 'grantLogon':
      return grantLogon(deed.account, deed.folder, ports);
    case 'await':
      return awaitState(deed.state, deed.limitSeconds, ports);
  }
}

/** Throws ERR_SERVICE_FAILED with the command, its exit code and what it said. */
async function runCommand(command: WindowsCommand, windows: Windows, done: readonly number[] = []): Promise<void> {
  const { code, output } = await windows.run(command).catch((cause: unknown) => {
    throw new FarshoreError('ERR_SERVICE_FAILED', `${command.file} could not be run: ${(cause as Error).message}`, { cause });
  });
  if (code === 0 || done.includes(code)) return;
  throw new FarshoreError('ERR_SERVICE_FAILED', `${shown(command)} ended with ${code}${hint(code)}: ${output.trim()}`);
}

function hint(code: number): string {
  const hints: Readonly<Record<number, string>> = {
    [windowsErrors.accessDenied]: ' (access denied: run it in a window that was opened as administrator)',
    [windowsErrors.accountUnknown]: ' (the account is not known, or not installed on this computer: Test-ADServiceAccount tells)',
    [windowsErrors.logonFailed]: ' (the account may not log on as a service, or not on this computer)',
    [windowsErrors.markedForDelete]: ' (the service is being deleted: close services.msc and the event viewer, then repeat)',
  };
  return hints[code] ?? '';
}

/** Beside its place first: what is half compiled is never taken for whole. */
async function compile(out: string, { windows, commands }: DeedPorts): Promise<void> {
  if (existsSync(out)) return;
  const beside = `${out}.new`;
  await runCommand(commands.compile(beside), windows);
  await rename(beside, out);
}

async function grantLogon(account: string, folder: string, { windows, commands }: DeedPorts): Promise<void> {
  const file = join(folder, 'rights.inf');
  const database = join(folder, 'rights.sdb');
  try {
    await runCommand(commands.exportRights(file), windows);
    const template = templateGranting(account, templateText(await readFile(file)));
    if (template === null) return;
    await writeFile(file, templateBytes(template));
    await runCommand(commands.setRights(file, database), windows);
  } finally {
    for (const made of [file, database]) await rm(made, { force: true });
  }
}

async function awaitState(wanted: ServiceState, limitSeconds: number, { windows, commands, clock }: DeedPorts): Promise<void> {
  const end = clock.now() + limitSeconds * 1000;
  for (;;) {
    const state = stateIn(await windows.run(commands.query));
    // One that is not there has stopped.
    if (state === wanted || (wanted === 'stopped' && state === null)) return;
    const hasFallen = wanted === 'running' && state === 'stopped';
    if (hasFallen || clock.now() >= end) {
      const message = `the service is ${state ?? 'not there'}, and should be ${wanted}; the event log (Application) tells why`;
      throw new FarshoreError('ERR_SERVICE_FAILED', message);
    }
    await pause(clock, LOOK_MS);
  }
}
