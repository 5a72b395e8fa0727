/**
 * What enrolment keeps. Two calls settle races, so each is one transaction that reads what it depends on: `register`
 * and `storeRenewal`. Every certificate is kept until its end: a revocation must name all that are still good.
 */
import type { AgentId, SiteId, VaultId } from '../../shared/ids.ts';

/** A registration key as it is stored: never its secret. Moments are milliseconds since 1970. */
export interface RegistrationKeyRow {
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  /** SHA-256 of the secret's text, hex. */
  readonly secretHash: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

export interface EnrolledAgent {
  readonly agentId: AgentId;
  readonly vaultId: VaultId;
  readonly siteId: SiteId;
  /** The enrolled public key, SPKI in DER, base64. It stays the same for the life of the agent. */
  readonly spki: string;
  readonly certificateSerial: string;
  readonly certificateNotAfter: number;
  readonly revokedAt: number | null;
}

export type NewAgent = Omit<EnrolledAgent, 'revokedAt'>;

export interface RenewedCertificate {
  readonly agentId: AgentId;
  readonly serial: string;
  readonly notAfter: number;
  /** The proof's own id, and when it can be forgotten because the proof is too old anyway. */
  readonly jti: string;
  readonly forgetJtiAt: number;
}

export interface EnrolmentStore {
  findKey(secretHash: string): Promise<RegistrationKeyRow | null>;
  /**
   * One transaction: marks the key used at `now` and stores the agent with its certificate, if the key is there, unused
   * and not past its end; else changes nothing. Of two at once exactly one is 'registered'.
   */
  register(secretHash: string, agent: NewAgent, now: number): Promise<'registered' | 'unknown' | 'used' | 'expired'>;
  findAgent(agentId: AgentId): Promise<EnrolledAgent | null>;
  /** One transaction: notes the jti and stores the certificate as the agent's newest; else changes nothing. */
  storeRenewal(renewed: RenewedCertificate): Promise<'stored' | 'replayed' | 'revoked'>;
}
