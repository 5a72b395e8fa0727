/** Handlers: the installation itself, sessions, users and API tokens. */

import type { accountRoutes } from '../../shared/api/account-routes.ts';
import { isAtLeast } from '../../shared/api/fields.ts';
import { openApiDocument } from '../../shared/api/openapi.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { UserId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import type { Credential, User } from '../store/account-store.ts';
import { cookieOf, makeCredential, NO_COOKIE } from './credentials.ts';
import type { ApiPorts, Caller, Handlers } from './handler.ts';
import { hashPassword, isPassword } from './passwords.ts';
import { completeSetup } from './set-up.ts';

const SESSION_MS = 12 * 3_600_000;
const DAY_MS = 24 * 3_600_000;

export function accountHandlers(ports: ApiPorts): Handlers<keyof typeof accountRoutes> {
  const { store, clock, random } = ports;
  const openapi = openApiDocument();

  return {
    health: async () => ({ status: 'ok' }),
    openapi: async () => ({ ...openapi }),

    async setUp({ body }) {
      await completeSetup(ports, body);
      return { vault: body.vaultName, owner: body.ownerName };
    },

    async signIn({ body, setHeader }) {
      const user = await store.accounts.findUserByName(body.name.trim());
      const isRight = await isPassword(body.password, user?.passwordHash ?? null);
      if (user === null || !isRight) throw new FarshoreError('ERR_PASSWORD_WRONG', 'name or password is wrong');
      const { secret, row } = makeCredential(
        { user, kind: 'session', name: body.as, role: user.role, now: clock.now(), lifetimeMs: SESSION_MS },
        random,
      );
      await store.accounts.addCredential(row);
      if (body.as === 'cookie') setHeader('Set-Cookie', cookieOf(secret, SESSION_MS));
      return { ...(await sessionOf({ user, credential: row, role: row.role })), secret: body.as === 'cookie' ? null : secret };
    },

    whoAmI: ({ caller }) => sessionOf(caller),

    async signOut({ caller, setHeader }) {
      await store.accounts.removeCredential(caller.vaultId, caller.credential.hash);
      setHeader('Set-Cookie', NO_COOKIE);
    },

    async listUsers({ caller }) {
      return { users: (await store.accounts.users(caller.vaultId)).map(userAnswer) };
    },

    async addUser({ caller, body }) {
      const { name, role, password } = body;
      const passwordHash = await hashPassword(password, random);
      const user = { id: UserId.parse(random.uuid()), vaultId: caller.vaultId, name, role, passwordHash, createdAt: clock.now() };
      await store.accounts.addUser(user);
      return userAnswer(user);
    },

    async listTokens({ caller }) {
      const names = new Map((await store.accounts.users(caller.vaultId)).map((user) => [user.id, user.name]));
      return { tokens: (await tokensOf(caller)).map((token) => tokenAnswer(token, names.get(token.userId) ?? '')) };
    },

    async makeToken({ caller, body }) {
      // Or it could outlive its own end.
      if (caller.credential.kind === 'token') throw new FarshoreError('ERR_FORBIDDEN', 'a token cannot make tokens; sign in');
      if (!isAtLeast(caller.role, body.role))
        throw new FarshoreError('ERR_FORBIDDEN', `a token made by ${caller.role} cannot be ${body.role}`);
      const { name, role, days } = body;
      const { secret, row } = makeCredential(
        { user: caller.user, kind: 'token', name, role, now: clock.now(), lifetimeMs: days * DAY_MS },
        random,
      );
      await store.accounts.addCredential(row);
      return { ...tokenAnswer(row, caller.user.name), secret };
    },

    async revokeToken({ caller, params }) {
      const token = (await tokensOf(caller)).find((row) => tokenId(row) === params.tokenId);
      const isGone = token === undefined || !(await store.accounts.removeCredential(caller.vaultId, token.hash));
      if (isGone) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such token');
    },
  };

  async function sessionOf({ user, credential, role }: Pick<Caller, 'user' | 'credential' | 'role'>) {
    const vault = (await store.accounts.vaults()).find(({ id }) => id === user.vaultId);
    return {
      vault: { id: user.vaultId, name: vault?.name ?? '' },
      user: { id: user.id, name: user.name },
      role,
      kind: credential.kind,
      expiresAt: isoMoment(credential.expiresAt),
    };
  }

  /** Those that the caller may see and end. */
  async function tokensOf({ vaultId, user, role }: Caller): Promise<Credential[]> {
    const all = await store.accounts.credentials(vaultId, 'token');
    return role === 'owner' ? all : all.filter((token) => token.userId === user.id);
  }
}

function userAnswer({ id, name, role, createdAt }: User) {
  return { id, name, role, createdAt: isoMoment(createdAt) };
}

/** Enough of the digest to tell tokens apart; the rest stays here. */
function tokenId({ hash }: Credential): string {
  return hash.slice(0, 16);
}

function tokenAnswer(token: Credential, user: string) {
  const { name, role, createdAt, expiresAt } = token;
  return { id: tokenId(token), name, role, user, createdAt: isoMoment(createdAt), expiresAt: isoMoment(expiresAt) };
}
