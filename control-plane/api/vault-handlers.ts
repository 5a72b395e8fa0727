/** Handlers: the settings of a vault. */
import type { vaultRoutes } from '../../shared/api/vault-routes.ts';
import type { VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { ApiPorts, Handlers } from './handler.ts';

export function vaultHandlers({ store, clock, log }: ApiPorts): Handlers<keyof typeof vaultRoutes> {
  return {
    getVaultSettings: ({ caller }) => answerOf(caller.vaultId),

    async setVaultSettings({ caller, body }) {
      const { vaultId, user } = caller;
      await store.wishes.setSettings(vaultId, body, user.id, clock.now());
      log.warn({ vaultId, user: user.name, settings: body }, 'settings of a vault were changed');
      return answerOf(vaultId);
    },
  };

  async function answerOf(vaultId: VaultId) {
    const { settings, changed } = await store.wishes.settings(vaultId);
    const user = changed === null ? null : await store.accounts.findUser(vaultId, changed.by);
    return { ...settings, changedAt: changed && isoMoment(changed.at), changedBy: changed && (user?.name ?? '') };
  }
}
