/**
 * Registration: the key that an engineer carries to the site, and the two requests an agent makes over HTTPS before it
 * has a channel. They are part of what may leave a site; docs/metadata.md names their fields too.
 */
import { z } from 'zod';
import { FarshoreError } from '../errors.ts';
import { AgentId, SiteId, VaultId } from '../ids.ts';

export const REGISTRATION_KEY_HOURS = { default: 24, most: 120 } as const;
export const AGENT_CERTIFICATE_DAYS = 7;

/** `FS1.` and base64url of this as JSON. The secret is 32 bytes; the digest is SHA-256 of the authority's DER. */
export const RegistrationKey = z.strictObject({
  v: z.literal(1),
  address: z.url({ protocol: /^https$/ }).max(300),
  authorityDigest: z.string().regex(/^[0-9a-f]{64}$/),
  secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export type RegistrationKey = z.infer<typeof RegistrationKey>;

const PREFIX = 'FS1.';

export function formatRegistrationKey(key: RegistrationKey): string {
  return (
    PREFIX +
    btoa(JSON.stringify(RegistrationKey.parse(key)))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')
  );
}

/** Throws ERR_KEY_MALFORMED; the message says what is missing and never repeats the key. */
export function parseRegistrationKey(text: string): RegistrationKey {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX)) throw new FarshoreError('ERR_KEY_MALFORMED', `a registration key begins with ${PREFIX}`);
  try {
    return RegistrationKey.parse(JSON.parse(atob(trimmed.slice(PREFIX.length).replaceAll('-', '+').replaceAll('_', '/'))));
  } catch {
    throw new FarshoreError('ERR_KEY_MALFORMED', 'the registration key is damaged or cut short');
  }
}

const Pem = z.string().max(16_000).startsWith('-----BEGIN ');

export const RegisterRequest = z.strictObject({
  secret: RegistrationKey.shape.secret.meta({ description: 'secret of the registration key' }),
  csr: Pem.meta({ description: 'certificate request with the public key the agent made' }),
  agentVersion: z.string().max(40),
});
export type RegisterRequest = z.infer<typeof RegisterRequest>;

export const RegisterAnswer = z.strictObject({
  agentId: AgentId,
  siteId: SiteId,
  vaultId: VaultId,
  certificate: Pem,
  authority: Pem,
  /** `wss://host:port/agent` of the agents' own listener. */
  channel: z.url({ protocol: /^wss$/ }),
  /** Issuer keys whose signature on commands the agent will accept: SPKI in PEM. */
  issuerKeys: z.array(Pem).min(1).max(4),
});
export type RegisterAnswer = z.infer<typeof RegisterAnswer>;

/** A compact JWS (ES256) by the enrolled key over a RenewClaims; it counts before and after the certificate's end. */
export const RenewRequest = z.strictObject({ proof: z.string().max(32_000).meta({ description: 'renewal signed by the enrolled key' }) });
export type RenewRequest = z.infer<typeof RenewRequest>;

export const RenewClaims = z.strictObject({
  aud: z.literal('farshore:renew'),
  agentId: AgentId,
  csr: Pem,
  /** Seconds since 1970; refused when more than five minutes off. */
  iat: z.int(),
  jti: z.uuid(),
});
export type RenewClaims = z.infer<typeof RenewClaims>;

export const RenewAnswer = z.strictObject({ certificate: Pem, authority: Pem });
export type RenewAnswer = z.infer<typeof RenewAnswer>;
