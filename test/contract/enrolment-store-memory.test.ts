/** The store in memory that the registration scenarios stand on keeps the promises of its port. */
import { keepsTheEnrolmentContract } from '../support/enrolment-store-contract.ts';
import { MemoryEnrolmentStore } from '../support/enrolment-world.ts';

keepsTheEnrolmentContract('the enrolment store in memory', async (key) => {
  const store = new MemoryEnrolmentStore();
  store.keys.set(key.secretHash, key);
  return {
    store,
    async revoke(agentId, now) {
      const agent = store.agents.get(agentId);
      if (agent) store.agents.set(agentId, { ...agent, revokedAt: now });
    },
    async close() {},
  };
});
