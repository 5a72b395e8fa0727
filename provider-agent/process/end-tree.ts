/** Ends a process with everything that it has started: its process group, on Windows its tree. It must have been started detached where there are groups. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export function endTree({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  if (process.platform === 'win32') {
    const taskkill = join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'taskkill.exe');
    spawn(taskkill, ['/PID', String(pid), '/T', '/F'], { windowsHide: true, stdio: 'ignore' }).on('error', () => {});
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself this moment.
  }
}
