/** How a service stands, for people. */
import type { ServiceState } from './service-state.ts';

export interface ServiceDescription {
  readonly name: string;
  readonly state: ServiceState | null;
  readonly account: string | null;
  readonly start: string | null;
  readonly host: string | null;
  /** Program and arguments. */
  readonly launch: readonly string[] | null;
  readonly previous: readonly string[] | null;
}

export function formatService({ name, state, account, start, host, launch, previous }: ServiceDescription): string {
  if (state === null) return `there is no service ${name}`;
  const rows: [string, string | null][] = [
    ['service', `${name}, ${state}`],
    ['account', account],
    ['start', start],
    ['host', host],
    ['starts', launch?.slice(0, 2).join(' ') ?? null],
    ['before', previous?.slice(0, 2).join(' ') ?? null],
  ];
  return rows.flatMap(([label, value]) => (value === null ? [] : [`${label.padEnd(9)} ${value}`])).join('\n');
}
