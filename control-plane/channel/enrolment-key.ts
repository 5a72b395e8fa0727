/** Registration keys: the text that is shown once, and the row that is kept, which holds only a hash of the secret. */
import { createHash } from 'node:crypto';
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId, VaultId } from '../../shared/ids.ts';
import type { Random } from '../../shared/ports.ts';
import { formatRegistrationKey, REGISTRATION_KEY_HOURS } from '../../shared/protocol/registration.ts';
import type { RegistrationKeyRow } from '../store/enrolment-store.ts';

export interface KeyOrder {
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  /** How long it may be used; 24 when not said, 120 at most. */
  readonly hours?: number | undefined;
  /** `https://host:port` of the enrolment listener, as the site reaches it. */
  readonly address: string;
  /** SHA-256 of the agents' authority, hex. */
  readonly authorityDigest: string;
  readonly random: Random;
  readonly now: number;
}

/** Throws ERR_REQUEST_INVALID for hours out of bounds. */
export function makeRegistrationKey(order: KeyOrder): { readonly text: string; readonly row: RegistrationKeyRow } {
  const hours = order.hours ?? REGISTRATION_KEY_HOURS.default;
  if (!(hours > 0 && hours <= REGISTRATION_KEY_HOURS.most)) {
    const allowed = `more than 0, at most ${REGISTRATION_KEY_HOURS.most}`;
    throw new FarshoreError('ERR_REQUEST_INVALID', 'a registration key cannot be valid for that long', {
      problems: [{ field: 'hours', message: `${hours} hours`, allowed }],
    });
  }
  const secret = Buffer.from(order.random.bytes(32)).toString('base64url');
  const text = formatRegistrationKey({ v: 1, address: order.address, authorityDigest: order.authorityDigest, secret });
  const row: RegistrationKeyRow = {
    vaultId: order.vaultId,
    siteId: order.siteId,
    secretHash: hashSecret(secret),
    createdAt: order.now,
    expiresAt: order.now + hours * 3_600_000,
    usedAt: null,
  };
  return { text, row };
}

/** The secret is 256 random bits, so a plain hash is enough: there is nothing to guess. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
