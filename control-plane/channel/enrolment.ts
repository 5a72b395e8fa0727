/**
 * Enrolment: a registration key becomes an agent with a certificate, and the agent renews it.
 *
 * Everything is parsed and checked before the store is asked to use a key up, and on any refusal nothing is stored.
 * An agent *is* its enrolled key: a renewal is proved by that key, not by the certificate, so it counts as well a month
 * after the certificate's end; and it is for that key, so an answer that gets lost costs nothing: the agent asks again.
 * A new key is a new registration.
 */
import { createPublicKey } from 'node:crypto';
import { compactVerify, decodeJwt } from 'jose';
import { readAgentRequest } from '../../certs/agent-request.ts';
import type { Authority } from '../../certs/authority.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { AgentId, type VaultId } from '../../shared/ids.ts';
import { type Clock, isoMoment, type Random } from '../../shared/ports.ts';
import { type RegisterAnswer, RegisterRequest, type RenewAnswer, RenewClaims, RenewRequest } from '../../shared/protocol/registration.ts';
import type { EnrolledAgent, EnrolmentStore, NewAgent, RegistrationKeyRow } from '../store/enrolment-store.ts';
import { hashSecret } from '../store/secrets.ts';

/** How far the agent's clock and ours may be apart for a proof to count. */
const PROOF_SECONDS = 300;

export interface EnrolmentParts {
  readonly store: EnrolmentStore;
  readonly authority: Authority;
  /** `wss://host:port/agent` of the agents' listener, as sites reach it. */
  readonly channel: string;
  /** The issuer keys (SPKI PEM) whose commands the vault's agents shall accept. */
  readonly issuerKeys: (vaultId: VaultId) => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

export class Enrolment {
  readonly #parts: EnrolmentParts;

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
  }

  /** Throws ERR_REQUEST_INVALID, ERR_KEY_UNKNOWN, ERR_KEY_USED, ERR_KEY_EXPIRED, ERR_CSR_INVALID. */
  async register(body: unknown): Promise<RegisterAnswer> {
    const { store, authority, clock, random } = this.#parts;
    const request = read(RegisterRequest, body);
    const secretHash = hashSecret(request.secret);
    const now = clock.now();
    const key = checkKey(await store.findKey(secretHash), now);
    const spki = await readAgentRequest(request.csr);
    const agentId = AgentId.parse(random.uuid());
    const issued = await authority.issueAgent(spki, agentId, now);
    const agent: NewAgent = {
      agentId,
      vaultId: key.vaultId,
      siteId: key.siteId,
      spki: Buffer.from(spki).toString('base64'),
      certificateSerial: issued.serial,
      certificateNotAfter: issued.notAfter,
    };
    const result = await store.register(secretHash, agent, now);
    if (result !== 'registered') throw keyRefusal(result);
    return {
      agentId,
      siteId: key.siteId,
      vaultId: key.vaultId,
      certificate: issued.certificate,
      authority: authority.certificate,
      channel: this.#parts.channel,
      issuerKeys: [...this.#parts.issuerKeys(key.vaultId)],
    };
  }

  /** Throws ERR_REQUEST_INVALID, ERR_CERTIFICATE_UNKNOWN, ERR_PROOF_INVALID, ERR_CERTIFICATE_REVOKED, ERR_CSR_INVALID. */
  async renew(body: unknown): Promise<RenewAnswer> {
    const { store, authority, clock } = this.#parts;
    const { proof } = read(RenewRequest, body);
    const claims = readClaims(proof);
    const agent = await store.findAgent(claims.agentId);
    if (agent === null) throw new FarshoreError('ERR_CERTIFICATE_UNKNOWN', 'no agent of this id is enrolled here');
    await verifyProof(proof, agent);
    const now = clock.now();
    checkAge(claims, now);
    if (agent.revokedAt !== null) throw revoked(agent.revokedAt);
    const spki = await readAgentRequest(claims.csr);
    if (Buffer.from(spki).toString('base64') !== agent.spki) {
      throw new FarshoreError('ERR_CSR_INVALID', 'a renewal is for the enrolled key; register the agent again to change its key');
    }
    const issued = await authority.issueAgent(spki, agent.agentId, now);
    const forgetJtiAt = (claims.iat + PROOF_SECONDS + 1) * 1000;
    const { agentId } = agent;
    const result = await store.storeRenewal({ agentId, serial: issued.serial, notAfter: issued.notAfter, jti: claims.jti, forgetJtiAt });
    if (result === 'replayed') throw new FarshoreError('ERR_PROOF_INVALID', 'this proof was used before');
    if (result === 'revoked') throw revoked(now);
    return { certificate: issued.certificate, authority: authority.certificate };
  }
}

function read<T>(schema: { safeParse(body: unknown): { success: true; data: T } | { success: false } }, body: unknown): T {
  const parsed = schema.safeParse(body);
  // What came in is not repeated: it may hold a secret.
  if (!parsed.success) throw new FarshoreError('ERR_REQUEST_INVALID', 'the request does not fit its schema');
  return parsed.data;
}

function checkKey(key: RegistrationKeyRow | null, now: number): RegistrationKeyRow {
  if (key === null) throw keyRefusal('unknown');
  if (key.usedAt !== null) throw keyRefusal('used', key.usedAt);
  if (key.expiresAt <= now) throw keyRefusal('expired', key.expiresAt);
  return key;
}

function keyRefusal(reason: 'unknown' | 'used' | 'expired', at?: number): FarshoreError {
  const when = at === undefined ? '' : ` at ${isoMoment(at)}`;
  if (reason === 'unknown') return new FarshoreError('ERR_KEY_UNKNOWN', 'the control plane does not know this registration key');
  if (reason === 'used') return new FarshoreError('ERR_KEY_USED', `the registration key was used${when}`);
  return new FarshoreError('ERR_KEY_EXPIRED', `the registration key expired${when}`);
}

function revoked(at: number): FarshoreError {
  return new FarshoreError('ERR_CERTIFICATE_REVOKED', `the agent was revoked at ${isoMoment(at)}`);
}

/** The claims as they are stated, not yet proved: they only say whose key to prove them with. */
function readClaims(proof: string): RenewClaims {
  try {
    return RenewClaims.parse(decodeJwt(proof));
  } catch {
    throw new FarshoreError('ERR_REQUEST_INVALID', 'the proof of a renewal cannot be read');
  }
}

async function verifyProof(proof: string, agent: EnrolledAgent): Promise<void> {
  const key = createPublicKey({ key: Buffer.from(agent.spki, 'base64'), format: 'der', type: 'spki' });
  try {
    await compactVerify(proof, key, { algorithms: ['ES256'] });
  } catch (cause) {
    throw new FarshoreError('ERR_PROOF_INVALID', 'the renewal is not signed by the enrolled key', { cause });
  }
}

function checkAge(claims: RenewClaims, now: number): void {
  const seconds = Math.round(now / 1000 - claims.iat);
  if (Math.abs(seconds) <= PROOF_SECONDS) return;
  const off = `${Math.abs(seconds)} s ${seconds > 0 ? 'behind' : 'ahead of'}`;
  throw new FarshoreError('ERR_PROOF_INVALID', `the renewal is dated ${off} the control plane's clock; ${PROOF_SECONDS} s are allowed`);
}
