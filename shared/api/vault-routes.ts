/** Rows of the route table: what holds for the whole vault. */
import { VaultSettings } from '../domain/vault-settings.ts';
import type { Route } from './route.ts';
import { VaultSettingsAnswer } from './vault.ts';

export const vaultRoutes = {
  getVaultSettings: {
    method: 'get',
    path: '/api/v1/vault/settings',
    tag: 'Vault',
    access: 'viewer',
    summary: 'Gives the settings of the vault',
    status: 200,
    answer: VaultSettingsAnswer,
    errors: [],
  },
  setVaultSettings: {
    method: 'put',
    path: '/api/v1/vault/settings',
    tag: 'Vault',
    access: 'owner',
    summary: 'Sets all settings of the vault; one that is left out has its default',
    body: VaultSettings,
    status: 200,
    answer: VaultSettingsAnswer,
    errors: [],
  },
} as const satisfies Record<string, Route>;
