/** Where first copies lie that people carry: as with Hyper-V Replica every VM has a subfolder of its own, also where several are exported to one folder. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { FabricError } from '../fabric-error.ts';
import { failed } from './refusals.ts';
import type { SentPoint } from './replication-frames.ts';
import type { VmRecord } from './vm-record.ts';

/** Made where it is not there; throws ERR_FIRST_COPY_FOLDER. */
export function subfolderToWrite({ name, ref }: VmRecord, folder: string): string {
  try {
    if (!statSync(folder).isDirectory()) throw new Error('it is no folder');
    const own = path.join(folder, `${name.replace(/[^\w.-]/g, '_')}_${ref.vmId}`);
    mkdirSync(own, { recursive: true });
    return own;
  } catch (cause) {
    throw cannotBeWritten(folder, cause);
  }
}

/** In the folder that holds the subfolder, or that itself; throws ERR_FIRST_COPY_FOLDER. */
export function subfolderToRead(vm: VmRecord, folder: string): string {
  try {
    const own = readdirSync(folder).find((entry) => entry.endsWith(`_${vm.ref.vmId}`));
    return path.join(folder, own ?? '');
  } catch (cause) {
    throw holdsNone(folder, vm, cause);
  }
}

/** Before anything is done with it: it must be of that replica as it is now. */
export function refuseOfAnother({ ref, replication }: VmRecord, point: SentPoint, folder: string): void {
  if (point.vmId !== ref.vmId || point.cloudId !== ref.cloudId) throw new Error('it is of another VM, or for another cloud');
  const since = replication.replica?.lastReceivedAt ?? 0;
  if (point.at >= since) return;
  const message = `What '${folder}' holds is older than the replica, of ${new Date(since).toISOString()}.`;
  throw failed('ERR_FIRST_COPY_FOLDER', 'importInitialReplication', message);
}

export function cannotBeWritten(folder: string, cause: unknown): FabricError {
  return failed('ERR_FIRST_COPY_FOLDER', 'startInitialReplication', `'${folder}' cannot be written to: ${said(cause)}`, cause);
}

export function holdsNone(folder: string, { name }: VmRecord, cause: unknown): FabricError {
  return failed('ERR_FIRST_COPY_FOLDER', 'importInitialReplication', `'${folder}' holds no first copy of '${name}': ${said(cause)}`, cause);
}

const said = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
