/**
 * The programs of Windows that manage services, as far as an agent's service needs them, with files that are really there: a service starts
 * when its host, what that starts and the script of the agent exist, and the agent gets ready when its release is a good one.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { templateBytes, templateText } from '../../provider-agent/service/logon-right.ts';
import type { Ran, Windows, WindowsCommand } from '../../provider-agent/service/windows.ts';
import type { Clock } from '../../shared/ports.ts';
import { isoMoment } from '../../shared/ports.ts';

interface FakeService {
  settings: ReadonlyMap<string, string>;
  state: 'STOPPED' | 'RUNNING';
  isManaged: boolean;
}

const numbers = { STOPPED: 1, RUNNING: 4 } as const;

export class FakeWindows implements Windows {
  readonly calls: WindowsCommand[] = [];
  readonly services = new Map<string, FakeService>();
  readonly registry = new Map<string, string>();
  /** Releases, by the folder of their script, that start and do not get ready. */
  readonly badReleases = new Set<string>();
  holders = '*S-1-5-80-0';
  /** Exit codes by the name of the program and its first argument, for the next call of it. */
  readonly refusals = new Map<string, Ran>();
  readonly #clock: Clock;
  readonly #dataFolder: string;

  constructor(clock: Clock, dataFolder: string) {
    this.#clock = clock;
    this.#dataFolder = dataFolder;
  }

  async run(command: WindowsCommand): Promise<Ran> {
    this.calls.push(command);
    const program = basename(command.file.replaceAll('\\', '/'));
    const key = `${program} ${command.args[0]}`;
    const refusal = this.refusals.get(key);
    this.refusals.delete(key);
    if (refusal !== undefined) return refusal;
    switch (program) {
      case 'sc.exe':
        return this.#sc(command.args);
      case 'reg.exe':
        return this.#reg(command.args);
      case 'csc.exe':
        return this.#compile(command.args);
      case 'secedit.exe':
        return this.#rights(command.args);
      case 'icacls.exe':
        return done(existsSync(command.args[0] ?? '') ? 0 : 2);
      default:
        throw new Error(`there is no ${command.file}`);
    }
  }

  #sc([verb = '', name = '', ...rest]: readonly string[]): Ran {
    const service = this.services.get(name);
    if (verb === 'create') {
      if (service !== undefined) return done(1073);
      this.services.set(name, { settings: pairs(rest), state: 'STOPPED', isManaged: false });
      return done(0);
    }
    if (service === undefined) return done(1060);
    switch (verb) {
      case 'config':
        service.settings = new Map([...service.settings, ...pairs(rest)]);
        return done(0);
      case 'managedaccount':
        service.isManaged = rest[0] === 'true';
        return done(0);
      case 'delete':
        this.services.delete(name);
        return done(0);
      case 'query':
        return done(
          0,
          `SERVICE_NAME: ${name}\r\n  TYPE : 10  WIN32_OWN_PROCESS\r\n  STATE : ${numbers[service.state]}  ${service.state}\r\n`,
        );
      case 'stop':
        if (service.state === 'STOPPED') return done(1062);
        service.state = 'STOPPED';
        return done(0);
      case 'start':
        return this.#start(service);
      default:
        return done(0);
    }
  }

  #start(service: FakeService): Ran {
    if (service.state === 'RUNNING') return done(1056);
    const host = /^"([^"]*)"/.exec(service.settings.get('binPath=') ?? '')?.[1] ?? '';
    const launch = join(dirname(host), 'launch.txt');
    if (!existsSync(host) || !existsSync(launch)) return done(2);
    const [node = '', script = ''] = readFileSync(launch, 'utf8').split('\r\n');
    if (!existsSync(node) || !existsSync(script)) return done(1064);
    service.state = 'RUNNING';
    const release = dirname(script);
    if (this.badReleases.has(release)) return done(0);
    const channel = { state: 'connecting', since: isoMoment(this.#clock.now()), lastFailure: null, violations: 0 };
    const status = { pid: 1, version: basename(release), startedAt: isoMoment(this.#clock.now()), channel };
    writeFileSync(join(this.#dataFolder, 'status.json'), JSON.stringify(status));
    return done(0);
  }

  #reg([verb = '', key = '', ...rest]: readonly string[]): Ran {
    if (verb === 'add') this.registry.set(key, rest[rest.indexOf('/d') + 1] ?? '');
    if (verb === 'delete') return done(this.registry.delete(key) ? 0 : 1);
    if (verb !== 'query') return done(0);
    const service = this.services.get(key.split('\\').at(-1) ?? '');
    if (service === undefined) return done(1);
    const { settings } = service;
    const values = [
      ['ImagePath', 'REG_EXPAND_SZ', settings.get('binPath=')],
      ['ObjectName', 'REG_SZ', settings.get('obj=')],
      ['Start', 'REG_DWORD', '0x2'],
      ['DelayedAutostart', 'REG_DWORD', '0x1'],
    ];
    return done(0, `\r\n${key}\r\n${values.map((value) => `    ${value.join('    ')}\r\n`).join('')}`);
  }

  #compile(args: readonly string[]): Ran {
    const out = args.find((each) => each.startsWith('/out:'))?.slice('/out:'.length) ?? '';
    writeFileSync(out, 'MZ');
    return done(0);
  }

  #rights(args: readonly string[]): Ran {
    const file = args[args.indexOf('/cfg') + 1] ?? '';
    if (args[0] === '/export') {
      writeFileSync(
        file,
        templateBytes(`[Privilege Rights]\r\nSeServiceLogonRight = ${this.holders}\r\nSeBackupPrivilege = *S-1-5-32-544\r\n`),
      );
      return done(0);
    }
    this.holders = /^SeServiceLogonRight = (.*)$/m.exec(templateText(readFileSync(file)))?.[1]?.trim() ?? '';
    return done(0);
  }
}

const done = (code: number, output = ''): Ran => ({ code, output });

/** `name= value` as two arguments. */
function pairs(words: readonly string[]): Map<string, string> {
  return new Map(words.flatMap((word, i) => (word.endsWith('=') ? [[word, words[i + 1] ?? ''] as const] : [])));
}
