/**
 * What every EnrolmentStore must keep to, whatever it stores in: call it with a way to open one. `open` is given the row of
 * a key to hold from the start; a store with foreign keys makes the vault and the site of that row first.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EnrolmentStore, NewAgent, RegistrationKeyRow, RenewedCertificate } from '../../control-plane/store/enrolment-store.ts';
import { AgentId, SiteId, VaultId } from '../../shared/ids.ts';
import { systemRandom } from '../../shared/system-ports.ts';

export interface OpenedStore {
  readonly store: EnrolmentStore;
  revoke(agentId: AgentId, now: number): Promise<void>;
  close(): Promise<void>;
}

export function keepsTheEnrolmentContract(name: string, open: (key: RegistrationKeyRow) => Promise<OpenedStore>): void {
  const key: RegistrationKeyRow = {
    vaultId: VaultId.parse(systemRandom.uuid()),
    siteId: SiteId.parse(systemRandom.uuid()),
    secretHash: 'a'.repeat(64),
    createdAt: 1_000,
    expiresAt: 2_000,
    usedAt: null,
  };
  const makeAgent = (): NewAgent => ({
    agentId: AgentId.parse(systemRandom.uuid()),
    vaultId: key.vaultId,
    siteId: key.siteId,
    spki: Buffer.from(systemRandom.bytes(91)).toString('base64'),
    certificateSerial: Buffer.from(systemRandom.bytes(16)).toString('hex'),
    certificateNotAfter: 9_000,
  });
  const renewalOf = (agent: NewAgent, changes: Partial<RenewedCertificate> = {}): RenewedCertificate => ({
    agentId: agent.agentId,
    serial: Buffer.from(systemRandom.bytes(16)).toString('hex'),
    notAfter: 10_000,
    jti: systemRandom.uuid(),
    forgetJtiAt: 5_000,
    ...changes,
  });
  /** A test with a store of its own; `registered` is an agent that is enrolled already. */
  const check = (title: string, work: (opened: OpenedStore, registered: () => Promise<NewAgent>) => Promise<void>) =>
    void it(title, async () => {
      const opened = await open(key);
      try {
        await work(opened, async () => {
          const agent = makeAgent();
          assert.equal(await opened.store.register(key.secretHash, agent, 1_500), 'registered');
          return agent;
        });
      } finally {
        await opened.close();
      }
    });

  describe(name, () => {
    check('uses a key up and stores the agent together', async ({ store }, registered) => {
      assert.deepEqual(await store.findKey(key.secretHash), key);
      const agent = await registered();
      assert.deepEqual(await store.findKey(key.secretHash), { ...key, usedAt: 1_500 });
      assert.deepEqual(await store.findAgent(agent.agentId), { ...agent, revokedAt: null });
    });

    check('stores no agent for a key that is unknown, used or at its end', async ({ store }, registered) => {
      const agent = makeAgent();
      assert.equal(await store.findKey('b'.repeat(64)), null);
      assert.equal(await store.register('b'.repeat(64), agent, 1_500), 'unknown');
      assert.equal(await store.register(key.secretHash, agent, key.expiresAt), 'expired');
      assert.deepEqual(await store.findKey(key.secretHash), key);
      await registered();
      assert.equal(await store.register(key.secretHash, agent, 1_600), 'used');
      assert.equal(await store.findAgent(agent.agentId), null);
    });

    check('lets one of two win that use a key at once', async ({ store }) => {
      const [first, second] = [makeAgent(), makeAgent()];
      const results = await Promise.all([first, second].map((agent) => store.register(key.secretHash, agent, 1_500)));
      assert.deepEqual(results.sort(), ['registered', 'used']);
      const found = await Promise.all([first, second].map(({ agentId }) => store.findAgent(agentId)));
      assert.equal(found.filter((agent) => agent !== null).length, 1);
    });

    check('stores a renewal once for each proof', async ({ store }, registered) => {
      const agent = await registered();
      const renewal = renewalOf(agent);
      const again = renewalOf(agent, { jti: renewal.jti });
      assert.deepEqual((await Promise.all([renewal, again].map((one) => store.storeRenewal(one)))).sort(), ['replayed', 'stored']);
      const serial = (await store.findAgent(agent.agentId))?.certificateSerial;
      assert.equal(await store.storeRenewal(renewalOf(agent, { jti: renewal.jti })), 'replayed');
      assert.equal((await store.findAgent(agent.agentId))?.certificateSerial, serial);
      const next = renewalOf(agent, { notAfter: 11_000 });
      assert.equal(await store.storeRenewal(next), 'stored');
      const expected = { ...agent, certificateSerial: next.serial, certificateNotAfter: 11_000, revokedAt: null };
      assert.deepEqual(await store.findAgent(agent.agentId), expected);
    });

    check('stores no renewal of a revoked agent', async ({ store, revoke }, registered) => {
      const agent = await registered();
      await revoke(agent.agentId, 1_700);
      assert.equal(await store.storeRenewal(renewalOf(agent)), 'revoked');
      assert.deepEqual(await store.findAgent(agent.agentId), { ...agent, revokedAt: 1_700 });
    });
  });
}
