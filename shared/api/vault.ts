/** The settings of a vault, and who changed them last. */
import { z } from 'zod';
import { VaultSettings } from '../domain/vault-settings.ts';
import { Moment } from './fields.ts';

export const VaultSettingsAnswer = VaultSettings.extend({
  changedAt: Moment.nullable().meta({ description: 'null: they are as they came' }),
  changedBy: z.string().nullable().meta({ description: 'name of the user' }),
}).meta({ id: 'VaultSettings' });
