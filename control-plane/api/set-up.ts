/**
 * The way from an installation without a vault to one with an owner, open once. Each start without a vault makes a new
 * secret, keeps its digest for a day, and the link goes to the server's own terminal only.
 */
import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { RouteInput } from '../../shared/api/routes.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { UserId, VaultId } from '../../shared/ids.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import { hashSecret, newSecret } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import { hashPassword } from './passwords.ts';

const SETTING = 'setup';
const VALID_MS = 24 * 3_600_000;

const PendingSetUp = z.object({ hash: z.string(), expiresAt: z.number() });

interface SetUpPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

/** The link to print on the server's own terminal; null when there is a vault. `address` is `https://host:port`. */
export async function prepareSetup({ store, clock, random }: SetUpPorts, address: string): Promise<string | null> {
  if (await isSetUp(store)) return null;
  const secret = newSecret(random);
  await store.settings.set(SETTING, JSON.stringify({ hash: hashSecret(secret), expiresAt: clock.now() + VALID_MS }));
  // Behind the # it stays in the browser: no server or proxy log sees it.
  return `${address}/setup#${secret}`;
}

export async function isSetUp(store: Store): Promise<boolean> {
  return (await store.accounts.vaults()).length > 0;
}

/** Throws ERR_SETUP_DONE, ERR_SETUP_SECRET_WRONG. */
export async function completeSetup({ store, clock, random }: SetUpPorts, body: RouteInput<'setUp'>['body']): Promise<void> {
  if (await isSetUp(store)) throw new FarshoreError('ERR_SETUP_DONE', 'this control plane is set up');
  const pending = PendingSetUp.safeParse(JSON.parse((await store.settings.get(SETTING)) ?? 'null')).data;
  const now = clock.now();
  const isRight =
    pending !== undefined && now < pending.expiresAt && timingSafeEqual(Buffer.from(hashSecret(body.secret)), Buffer.from(pending.hash));
  if (!isRight) throw new FarshoreError('ERR_SETUP_SECRET_WRONG', 'the set-up secret is wrong or too old');
  const vaultId = VaultId.parse(random.uuid());
  const passwordHash = await hashPassword(body.password, random);
  const owner = { id: UserId.parse(random.uuid()), vaultId, name: body.ownerName, role: 'owner' as const, passwordHash, createdAt: now };
  const isFirst = await store.accounts.createFirst({ id: vaultId, name: body.vaultName, createdAt: now }, owner);
  if (!isFirst) throw new FarshoreError('ERR_SETUP_DONE', 'somebody was faster: this control plane is set up');
}
