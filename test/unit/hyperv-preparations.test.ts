/** Which pairings the hosts of a Hyper-V site are prepared for is remembered, whatever is prepared at the same time. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPreparations } from '../../provider-agent/fabric/hyperv/preparations.ts';
import { CloudId, PairingId, SiteId } from '../../shared/ids.ts';
import { uuidOf } from '../support/simulated-sites.ts';

test('clouds that are prepared and released at once forget none of each other, also after a restart', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fp-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'preparations.json');
  const preparationOf = (name: string) => ({
    pairingId: PairingId.parse(uuidOf(name)),
    cloudId: CloudId.parse(uuidOf(`cloud ${name}`)),
    peer: { siteId: SiteId.parse(uuidOf('slough')), cloudId: CloudId.parse(uuidOf('Silver')) },
  });
  const [gold, silver, bronze] = [preparationOf('gold'), preparationOf('silver'), preparationOf('bronze')];
  const preparations = await openPreparations(path);
  await preparations.change((all) => [...all, gold]);
  await Promise.all([
    preparations.change((all) => [...all, silver]),
    preparations.change((all) => all.filter(({ pairingId }) => pairingId !== gold.pairingId)),
    preparations.change((all) => [...all, bronze]),
  ]);
  assert.deepEqual(preparations.all(), [silver, bronze]);
  assert.deepEqual((await openPreparations(path)).all(), [silver, bronze]);
});
