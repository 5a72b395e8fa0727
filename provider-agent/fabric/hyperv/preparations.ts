/**
 * Which pairings the hosts of which cloud are prepared for. The hosts themselves keep names of servers only, and a pairing that
 * is released must not take from another what both need.
 */
import { z } from 'zod';
import { readTextIfThere, writeFileDurably } from '../../../certs/key-files.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { CloudId, PairingId, SiteId } from '../../../shared/ids.ts';
import { Lanes } from '../../../shared/lanes.ts';

const Preparation = z.strictObject({
  pairingId: PairingId,
  cloudId: CloudId,
  peer: z.strictObject({ siteId: SiteId, cloudId: CloudId }),
});
export type Preparation = z.infer<typeof Preparation>;

export interface Preparations {
  all(): readonly Preparation[];
  /** One change after the other: clouds are prepared side by side, and none may forget what another has written. */
  change(work: (current: readonly Preparation[]) => readonly Preparation[]): Promise<void>;
}

/** Throws ERR_DOCUMENT_INVALID where the file is not what was written. */
export async function openPreparations(path: string): Promise<Preparations> {
  let current = parse((await readTextIfThere(path)) ?? '[]', path);
  const lanes = new Lanes();
  return {
    all: () => current,
    change: (work) =>
      lanes.run(path, async () => {
        const next = [...work(current)];
        await writeFileDurably(path, JSON.stringify(next));
        current = next;
      }),
  };
}

function parse(text: string, path: string): Preparation[] {
  try {
    return z.array(Preparation).parse(JSON.parse(text));
  } catch (cause) {
    throw new FarshoreError('ERR_DOCUMENT_INVALID', `${path} is damaged; remove it and pair the clouds again`, { cause });
  }
}
