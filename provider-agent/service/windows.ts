/**
 * The programs of Windows that manage a service, by their full paths, and the port through which they are run. They are called with lists of
 * arguments, never by a shell; what they say is translated, so they are judged by exit codes: those of sc.exe are Windows error codes.
 */
import { execFile } from 'node:child_process';
import { win32 } from 'node:path';

export interface WindowsCommand {
  readonly file: string;
  readonly args: readonly string[];
}

export interface Ran {
  readonly code: number;
  readonly output: string;
}

export interface Windows {
  /** Resolves whatever the exit code; rejects when the program is not there or gives no answer. */
  run(command: WindowsCommand): Promise<Ran>;
}

export const windowsErrors = {
  accessDenied: 5,
  alreadyRunning: 1056,
  accountUnknown: 1057,
  doesNotExist: 1060,
  /** It starts or stops just now. */
  takesNoOrder: 1061,
  notActive: 1062,
  logonFailed: 1069,
  markedForDelete: 1072,
} as const;

const LIMIT_MS = 60_000;
const OUTPUT_BYTES = 1024 * 1024;

export function systemPrograms(systemRoot: string | undefined) {
  const root = systemRoot ?? 'C:\\Windows';
  const system = (name: string) => win32.join(root, 'System32', name);
  return {
    sc: system('sc.exe'),
    reg: system('reg.exe'),
    icacls: system('icacls.exe'),
    secedit: system('secedit.exe'),
    /** The compiler of the .NET Framework, which is a part of every Windows Server since 2016. It knows C# 5. */
    csc: win32.join(root, 'Microsoft.NET', 'Framework64', 'v4.0.30319', 'csc.exe'),
    /** What an entry of the event log is shown with. */
    eventMessages: win32.join(root, 'Microsoft.NET', 'Framework64', 'v4.0.30319', 'EventLogMessages.dll'),
  };
}
export type SystemPrograms = ReturnType<typeof systemPrograms>;

export const realWindows: Windows = {
  run: ({ file, args }) =>
    new Promise((resolve, reject) => {
      execFile(file, [...args], { windowsHide: true, timeout: LIMIT_MS, maxBuffer: OUTPUT_BYTES }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') return reject(error);
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: `${stdout}${stderr}` });
      });
    }),
};

/** As a person would type it, for `--what-if` and for messages. */
export function shown({ file, args }: WindowsCommand): string {
  return [file, ...args].map((word) => (/^[\w:=./\\$-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`)).join(' ');
}
