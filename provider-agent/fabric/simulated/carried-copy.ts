/** A first copy that people carry, of a simulated site: a file with the point that it is of. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FabricError } from '../fabric-error.ts';
import { cannotBeWritten, holdsNone, refuseOfAnother, subfolderToRead, subfolderToWrite } from '../site/carried-folder.ts';
import { SentPoint } from '../site/replication-frames.ts';
import type { VmRecord } from '../site/vm-record.ts';

const FILE = 'first-copy.json';

/** Under its name only when it is whole: a crash leaves no half copy that looks like one. */
export function writeCarried(vm: VmRecord, point: SentPoint, folder: string): void {
  const own = subfolderToWrite(vm, folder);
  try {
    writeFileSync(path.join(own, `${FILE}.part`), JSON.stringify(point));
    renameSync(path.join(own, `${FILE}.part`), path.join(own, FILE));
  } catch (cause) {
    throw cannotBeWritten(folder, cause);
  }
}

export function readCarried(vm: VmRecord, folder: string): SentPoint {
  const own = subfolderToRead(vm, folder);
  try {
    const point = SentPoint.parse(JSON.parse(readFileSync(path.join(own, FILE), 'utf8')));
    refuseOfAnother(vm, point, folder);
    return point;
  } catch (cause) {
    throw cause instanceof FabricError ? cause : holdsNone(folder, vm, cause);
  }
}
