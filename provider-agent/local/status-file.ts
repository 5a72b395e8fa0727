/**
 * How the running agent tells a person on the host how it stands: a small file, replaced whole at every change. The
 * agent has no port to ask.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

const StatusFile = z.object({
  pid: z.int(),
  version: z.string(),
  startedAt: z.string(),
  channel: z.object({
    state: z.enum(['connecting', 'connected', 'waiting', 'stopped']),
    since: z.string(),
    lastFailure: z.string().nullable(),
    violations: z.int(),
  }),
});
export type AgentStatus = z.infer<typeof StatusFile>;

export function writeStatus(path: string, status: AgentStatus): void {
  const beside = `${path}.new`;
  writeFileSync(beside, `${JSON.stringify(status, null, 2)}\n`);
  renameSync(beside, path);
}

/** What the agent told last, or null when it never did. */
export function readStatus(path: string): AgentStatus | null {
  try {
    return StatusFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}
