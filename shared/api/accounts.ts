/** Set-up, sessions, users and API tokens. A secret is in an answer once, when it is made. */
import { z } from 'zod';
import { UserId, VaultId } from '../ids.ts';
import { Name } from '../names.ts';
import { Moment, Role } from './fields.ts';

export const PASSWORD_LENGTH = { least: 12, most: 200 } as const;
const Password = z.string().min(PASSWORD_LENGTH.least).max(PASSWORD_LENGTH.most);
const UserName = z
  .string()
  .trim()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$/, 'letters, digits and . _ @ + -, 100 at most');

export const SetupBody = z.strictObject({
  secret: z.string().max(100).meta({ description: 'from the link that the server printed on its terminal' }),
  vaultName: Name,
  ownerName: UserName,
  password: Password,
});

export const SignInBody = z.strictObject({
  name: z.string().max(200),
  password: z.string().max(PASSWORD_LENGTH.most),
  as: z
    .enum(['cookie', 'bearer'])
    .default('cookie')
    .meta({ description: 'cookie: for browsers, out of reach of scripts; bearer: the secret is in the answer, for command lines' }),
});

export const UserAnswer = z.object({ id: UserId, name: z.string(), role: Role, createdAt: Moment }).meta({ id: 'User' });

export const SessionAnswer = z
  .object({
    vault: z.object({ id: VaultId, name: z.string() }),
    user: z.object({ id: UserId, name: z.string() }),
    role: Role.meta({ description: 'what this credential may do: at most the role of its user' }),
    kind: z.enum(['session', 'token']),
    expiresAt: Moment,
  })
  .meta({ id: 'Session' });

export const SignInAnswer = SessionAnswer.extend({
  secret: z.string().nullable().meta({ description: 'send it as `Authorization: Bearer ...`; null where a cookie carries it' }),
}).meta({ id: 'SignedIn' });

export const NewUserBody = z.strictObject({ name: UserName, password: Password, role: Role.exclude(['owner']) });

export const TOKEN_DAYS = { default: 90, most: 365 } as const;

export const NewTokenBody = z.strictObject({
  name: Name,
  role: Role.meta({ description: 'at most your own' }),
  days: z.int().min(1).max(TOKEN_DAYS.most).default(TOKEN_DAYS.default),
});

export const TokenId = z.string().regex(/^[0-9a-f]{16}$/);

export const TokenAnswer = z
  .object({ id: TokenId, name: z.string(), role: Role, user: z.string(), createdAt: Moment, expiresAt: Moment })
  .meta({ id: 'Token' });

export const CreatedTokenAnswer = TokenAnswer.extend({
  secret: z.string().meta({ description: 'shown this once; only a digest of it is kept' }),
}).meta({ id: 'CreatedToken' });
