/** A report about the site as messages of the channel: cut to its limits, the digest on the last. */
import type { AgentMessage } from '../../shared/protocol/egress.ts';
import { limits } from '../../shared/protocol/limits.ts';

type InventoryMessage = Extract<AgentMessage, { type: 'inventory.changed' }>;
export type InventoryReport = Omit<InventoryMessage, 'type' | 'digest'> & { readonly digest: string };

type ListName = 'clouds' | 'networks' | 'vms' | 'removedVms';
const LISTS: readonly ListName[] = ['clouds', 'networks', 'vms', 'removedVms'];

export function* reportMessages(report: InventoryReport): Generator<AgentMessage, undefined> {
  let message = emptyMessage(report.full);
  let bytes = 0;
  for (const list of LISTS) {
    for (const item of report[list]) {
      const size = Buffer.byteLength(JSON.stringify(item)) + 1;
      if (message[list].length >= limits.vmsPerMessage || bytes + size > limits.listBytes) {
        yield message;
        message = emptyMessage(false);
        bytes = 0;
      }
      // The item came out of the list of the same name.
      (message[list] as unknown[]).push(item);
      bytes += size;
    }
  }
  yield { ...message, digest: report.digest };
}

function emptyMessage(full: boolean): InventoryMessage {
  return { type: 'inventory.changed', full, clouds: [], networks: [], vms: [], removedVms: [], digest: null };
}
