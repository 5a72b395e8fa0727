/**
 * Sessions and API tokens: 256 random bits that are shown once, and kept as SHA-256. A request carries one as a bearer
 * secret, or as a cookie that scripts cannot read.
 */
import type { Request } from 'express';
import { isAtLeast, type Role } from '../../shared/api/fields.ts';
import { SESSION_COOKIE } from '../../shared/api/openapi.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import type { Credential, User } from '../store/account-store.ts';
import { hashSecret, newSecret } from '../store/secrets.ts';
import type { Store } from '../store/store.ts';
import type { Caller } from './handler.ts';

export interface CredentialOrder {
  readonly user: User;
  readonly kind: Credential['kind'];
  readonly name: string;
  readonly role: Role;
  readonly now: number;
  readonly lifetimeMs: number;
}

export function makeCredential(order: CredentialOrder, random: Random): { readonly secret: string; readonly row: Credential } {
  const { user, kind, name, role, now, lifetimeMs } = order;
  const secret = newSecret(random);
  const row: Credential = {
    hash: hashSecret(secret),
    vaultId: user.vaultId,
    userId: user.id,
    kind,
    name,
    role,
    createdAt: now,
    expiresAt: now + lifetimeMs,
  };
  return { secret, row };
}

/** Throws ERR_NOT_SIGNED_IN for a request without a credential that is good now. */
export async function identify(request: Request, store: Store, clock: Clock): Promise<Caller> {
  const found = secretOf(request);
  if (found === null) throw new FarshoreError('ERR_NOT_SIGNED_IN', 'the request carries no credential');
  if (found.isCookie) refuseCrossOrigin(request);
  const caller = await callerOf(hashSecret(found.secret), store, clock);
  if (caller === null) throw new FarshoreError('ERR_NOT_SIGNED_IN', 'the credential is not known, has ended or was revoked');
  return caller;
}

/** Null when the credential is not good any more. */
export async function callerOf(hash: string, store: Store, clock: Clock): Promise<Caller | null> {
  const credential = await store.accounts.findCredential(hash);
  if (credential === null || credential.expiresAt <= clock.now()) return null;
  const user = await store.accounts.findUser(credential.vaultId, credential.userId);
  if (user === null) return null;
  const role = isAtLeast(user.role, credential.role) ? credential.role : user.role;
  return { vaultId: credential.vaultId, user, credential, role };
}

function secretOf(request: Request): { readonly secret: string; readonly isCookie: boolean } | null {
  const bearer = /^Bearer ([A-Za-z0-9_-]{43})$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return { secret: bearer, isCookie: false };
  const cookies = (request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
  const ours = cookies.find((cookie) => cookie.startsWith(`${SESSION_COOKIE}=`))?.slice(SESSION_COOKIE.length + 1);
  return ours === undefined || ours === '' ? null : { secret: ours, isCookie: true };
}

/** SameSite=Strict knows no ports: a page of another service on this host must not act for the person either. */
function refuseCrossOrigin({ method, headers }: Request): void {
  if (method === 'GET' || method === 'HEAD' || headers.origin === undefined) return;
  if (headers.origin !== `https://${headers.host}`)
    throw new FarshoreError('ERR_FORBIDDEN', 'the request comes from a page of another origin');
}

const COOKIE_ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict';

export function cookieOf(secret: string, lifetimeMs: number): string {
  return `${SESSION_COOKIE}=${secret}; Max-Age=${Math.floor(lifetimeMs / 1000)}; ${COOKIE_ATTRIBUTES}`;
}

export const NO_COOKIE = `${SESSION_COOKIE}=; Max-Age=0; ${COOKIE_ATTRIBUTES}`;
