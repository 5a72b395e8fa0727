/** `farshore-agent status`: what a person on the host wants to know, read from the files of the agent, running or not. */
import { existsSync } from 'node:fs';
import { isoMoment } from '../shared/ports.ts';
import type { AgentPaths } from './config.ts';
import { certificateSpan, loadIdentity } from './enroll/identity.ts';
import { type AgentStatus, readStatus } from './local/status-file.ts';
import { isDataFolderLocked } from './state/data-lock.ts';
import { openDatabase } from './state/open-database.ts';

export interface AgentDescription {
  readonly isRunning: boolean;
  readonly agentId: string | null;
  readonly siteId: string | null;
  readonly channelAddress: string | null;
  readonly certificateEndsAt: string | null;
  /** What the agent told last; when it does not run, of its last life. */
  readonly last: AgentStatus | null;
  readonly commands: { readonly unfinished: number; readonly unconfirmed: number; readonly remembered: number } | null;
}

export async function describeAgent(paths: AgentPaths): Promise<AgentDescription> {
  const identity = await loadIdentity(paths.folder);
  return {
    isRunning: existsSync(paths.folder) && (await isDataFolderLocked(paths.folder)),
    agentId: identity?.agentId ?? null,
    siteId: identity?.siteId ?? null,
    channelAddress: identity?.channel ?? null,
    certificateEndsAt: identity === null ? null : isoMoment(certificateSpan(identity.certificatePem).end),
    last: readStatus(paths.status),
    commands: existsSync(paths.journal) ? await countCommands(paths.journal) : null,
  };
}

async function countCommands(path: string) {
  const database = await openDatabase(path, { readonly: true });
  try {
    return (
      database
        .prepare<[], { unfinished: number; unconfirmed: number; remembered: number }>(
          `SELECT count(*) FILTER (WHERE outcome IS NULL) AS unfinished,
                  count(*) FILTER (WHERE outcome IS NOT NULL AND confirmed_at IS NULL) AS unconfirmed,
                  count(*) AS remembered FROM commands`,
        )
        .get() ?? null
    );
  } finally {
    database.close();
  }
}

export function formatDescription({
  isRunning,
  agentId,
  siteId,
  channelAddress,
  certificateEndsAt,
  last,
  commands,
}: AgentDescription): string {
  if (agentId === null) return 'not registered';
  const channel = last?.channel;
  const rows: [string, string][] = [
    ['agent', `${agentId} of site ${siteId}`],
    ['process', isRunning ? `runs, pid ${last?.pid ?? 'unknown'}` : 'does not run'],
    ['channel', isRunning && channel !== undefined ? `${channel.state} since ${channel.since}` : 'closed'],
    ['last failure', channel?.lastFailure ?? 'none'],
    ['control plane', channelAddress ?? 'unknown'],
    ['certificate', `ends ${certificateEndsAt}`],
    [
      'commands',
      commands === null
        ? 'none'
        : `${commands.unfinished} unfinished, ${commands.unconfirmed} unconfirmed, ${commands.remembered} remembered`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)} ${value}`).join('\n');
}
