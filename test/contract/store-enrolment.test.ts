/** The embedded store keeps the promises of the enrolment store. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../control-plane/store/sqlite.ts';
import type { UserId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';
import { keepsTheEnrolmentContract } from '../support/enrolment-store-contract.ts';

keepsTheEnrolmentContract('the embedded store', async ({ vaultId, siteId, secretHash, createdAt, expiresAt, usedAt }) => {
  const folder = await mkdtemp(join(tmpdir(), 'farshore-store-'));
  const store = await openStore({ file: join(folder, 'control-plane.db') });
  const ownerId = systemRandom.uuid() as UserId;
  const owner = { id: ownerId, vaultId, name: 'kim', role: 'owner', passwordHash: 'x', createdAt: 1 } as const;
  await store.accounts.createFirst({ id: vaultId, name: 'northgate', createdAt: 1 }, owner);
  await store.sites.create({ id: siteId, vaultId, name: 'reading', createdAt: 1 });
  await store.sites.addRegistrationKey({ hash: secretHash, vaultId, siteId, createdAt, createdBy: ownerId, expiresAt, usedAt });
  return {
    store: store.enrolment,
    async revoke(agentId, now) {
      await store.sites.revokeAgent(vaultId, agentId, now);
    },
    async close() {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
