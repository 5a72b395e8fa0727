/** What sc.exe and reg.exe answer, read by what is the same in every language of Windows: numbers, constants, names of values. */
import { type Ran, windowsErrors } from './windows.ts';

const states = {
  STOPPED: 'stopped',
  START_PENDING: 'starting',
  STOP_PENDING: 'stopping',
  RUNNING: 'running',
  CONTINUE_PENDING: 'continuing',
  PAUSE_PENDING: 'pausing',
  PAUSED: 'paused',
} as const;
const STATE = new RegExp(`:\\s*[1-7]\\s+(${Object.keys(states).join('|')})\\b`);
export type ServiceState = (typeof states)[keyof typeof states];

/** Of `sc query`: null when there is no such service. */
export function stateIn({ code, output }: Ran): ServiceState | null {
  if (code === windowsErrors.doesNotExist) return null;
  const word = STATE.exec(output)?.[1];
  return word === undefined ? null : states[word as keyof typeof states];
}

export interface ServiceSettings {
  readonly account: string;
  readonly imagePath: string;
  readonly start: 'automatic' | 'delayed' | 'manual' | 'disabled' | 'other';
}

/** Of `reg query` of the service's key: null when it is not there. */
export function settingsIn({ code, output }: Ran): ServiceSettings | null {
  if (code !== 0) return null;
  const value = (name: string) => new RegExp(`^\\s+${name}\\s+REG_\\w+\\s+(.*?)\\s*$`, 'm').exec(output)?.[1] ?? '';
  const start = Number(value('Start'));
  const isDelayed = Number(value('DelayedAutostart') || 0) === 1;
  const names: Readonly<Record<number, ServiceSettings['start']>> = { 2: isDelayed ? 'delayed' : 'automatic', 3: 'manual', 4: 'disabled' };
  return { account: value('ObjectName'), imagePath: value('ImagePath'), start: names[start] ?? 'other' };
}

/** The host in `"C:\...\host.exe" Name`. */
export function hostIn(imagePath: string): string {
  return /^"([^"]*)"/.exec(imagePath)?.[1] ?? '';
}
