/** The command line of every call that manages the service. Values are arguments of their own, whatever signs they hold. */
import type { ServiceAccount } from './account.ts';
import { hostSources, type ServiceFiles } from './definition.ts';
import type { SystemPrograms, WindowsCommand } from './windows.ts';

const SYSTEM = '*S-1-5-18';
const ADMINISTRATORS = '*S-1-5-32-544';
const RESTARTS = 'restart/5000/restart/30000/restart/60000';
const FORGET_FAILURES_SECONDS = '86400';

export function serviceCommands(programs: SystemPrograms, files: ServiceFiles) {
  const { name } = files;
  const sc = (...args: string[]): WindowsCommand => ({ file: programs.sc, args });
  const reg = (...args: string[]): WindowsCommand => ({ file: programs.reg, args });
  const serviceKey = `HKLM\\SYSTEM\\CurrentControlSet\\Services\\${name}`;
  const eventKey = `HKLM\\SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\${name}`;
  const settings = (host: string) => ['type=', 'own', 'start=', 'delayed-auto', 'error=', 'normal', 'binPath=', imagePath(host, name)];
  return {
    query: sc('query', name),
    start: sc('start', name),
    stop: sc('stop', name),
    remove: sc('delete', name),
    // The one name of an account that is given here has no password: Windows keeps it.
    create: ({ name: account }: ServiceAccount) =>
      sc('create', name, ...settings(files.host), 'obj=', account, 'DisplayName=', `Farshore Agent (${name})`),
    configure: ({ name: account }: ServiceAccount) => sc('config', name, ...settings(files.host), 'obj=', account),
    useHost: (host: string) => sc('config', name, 'binPath=', imagePath(host, name)),
    describe: sc('description', name, 'Replicates and fails over virtual machines at this site as the Farshore control plane says.'),
    recover: sc('failure', name, 'reset=', FORGET_FAILURES_SECONDS, 'actions=', RESTARTS),
    manageAccount: sc('managedaccount', name, 'true'),
    readSettings: reg('query', serviceKey),
    addEventSource: reg('add', eventKey, '/v', 'EventMessageFile', '/t', 'REG_EXPAND_SZ', '/d', programs.eventMessages, '/f'),
    removeEventSource: reg('delete', eventKey, '/f'),
    protectData: ({ name: account }: ServiceAccount): WindowsCommand => ({
      file: programs.icacls,
      args: [files.dataFolder, '/inheritance:r', '/grant:r', full(SYSTEM), full(ADMINISTRATORS), `${account}:(OI)(CI)M`],
    }),
    /** What the service control manager starts is not for the agent to change. */
    protectHost: ({ name: account }: ServiceAccount): WindowsCommand => ({
      file: programs.icacls,
      args: [files.folder, '/inheritance:r', '/grant:r', full(SYSTEM), full(ADMINISTRATORS), `${account}:(OI)(CI)RX`],
    }),
    compile: (out: string): WindowsCommand => ({ file: programs.csc, args: compilerArguments(out) }),
    exportRights: (file: string): WindowsCommand => ({
      file: programs.secedit,
      args: ['/export', '/areas', 'USER_RIGHTS', '/cfg', file, '/quiet'],
    }),
    setRights: (template: string, database: string): WindowsCommand => ({
      file: programs.secedit,
      args: ['/configure', '/db', database, '/cfg', template, '/areas', 'USER_RIGHTS', '/quiet'],
    }),
  };
}
export type ServiceCommands = ReturnType<typeof serviceCommands>;

export function compilerArguments(out: string): string[] {
  return ['/nologo', '/target:exe', '/optimize+', '/codepage:65001', '/reference:System.ServiceProcess.dll', `/out:${out}`, ...hostSources];
}

/** Quoted in any case: a path with a space that is not would start what lies before the space. */
const imagePath = (host: string, name: string) => `"${host}" ${name}`;
const full = (account: string) => `${account}:(OI)(CI)F`;
