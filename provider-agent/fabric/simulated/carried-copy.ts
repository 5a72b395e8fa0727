/** A first copy that people carry, of a simulated site: a file with the point that it is of. As with Hyper-V Replica every VM has a subfolder of its own. */
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { failed } from '../site/refusals.ts';
import { SentPoint } from '../site/replication-frames.ts';
import type { VmRecord } from '../site/vm-record.ts';

const FILE = 'first-copy.json';

/** Under its name only when it is whole: a crash leaves no half copy that looks like one. */
export function writeCarried({ name, ref }: VmRecord, point: SentPoint, folder: string): void {
  try {
    if (!statSync(folder).isDirectory()) throw new Error('it is no folder');
    const own = path.join(folder, `${name.replace(/[^\w.-]/g, '_')}_${ref.vmId}`);
    mkdirSync(own, { recursive: true });
    writeFileSync(path.join(own, `${FILE}.part`), JSON.stringify(point));
    renameSync(path.join(own, `${FILE}.part`), path.join(own, FILE));
  } catch (cause) {
    throw failed(
      'ERR_FIRST_COPY_FOLDER',
      'startInitialReplication',
      `'${folder}' cannot be written to: ${(cause as Error).message}`,
      cause,
    );
  }
}

/** From the folder that holds the subfolder, or from that itself. */
export function readCarried({ name, ref }: VmRecord, folder: string): SentPoint {
  try {
    const own = readdirSync(folder).find((entry) => entry.endsWith(`_${ref.vmId}`));
    const point = SentPoint.parse(JSON.parse(readFileSync(path.join(folder, own ?? '', FILE), 'utf8')));
    if (point.vmId !== ref.vmId || point.cloudId !== ref.cloudId) throw new Error('it is of another VM, or for another cloud');
    return point;
  } catch (cause) {
    const why = (cause as Error).message;
    throw failed('ERR_FIRST_COPY_FOLDER', 'importInitialReplication', `'${folder}' holds no first copy of '${name}': ${why}`, cause);
  }
}
