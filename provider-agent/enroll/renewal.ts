/**
 * Renewal: every day, by proof of the enrolled key. The same way counts before and long after the certificate's end, so
 * an agent that was cut off for a month finds back by itself. It never gives up: a refusal that looks final is told
 * and asked again at the longest interval, because a control plane may be restored or a clock mended.
 */
import { createPrivateKey } from 'node:crypto';
import { errorCodes, FarshoreError, toFarshoreError } from '../../shared/errors.ts';
import type { Clock, Random } from '../../shared/ports.ts';
import { RenewAnswer, type RenewClaims } from '../../shared/protocol/registration.ts';
import { postEnrolment } from './enrolment-client.ts';
import { certificateSpan, type Identity, isOwnCertificate, storeCertificate } from './identity.ts';
import type { OutboundProxy } from './proxy.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FIRST_RETRY = 15_000;
/** The control plane allows five minutes. */
const CLOCKS_APART = 4 * MINUTE;

export interface RenewalParts {
  readonly identity: Identity;
  readonly dataDir: string;
  readonly proxy: OutboundProxy | null;
  readonly clock: Clock;
  readonly random: Random;
  /** The channel reconnects with the new certificate. */
  readonly onRenewed: (identity: Identity) => void;
  readonly onFailed: (error: FarshoreError, retryInMs: number) => void;
}

export class Renewal {
  readonly #parts: RenewalParts;
  #identity: Identity;
  #failures = 0;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
  }

  start(): void {
    this.#stopped = false;
    this.#wait(this.#untilDue());
  }

  /** Plans nothing more. A renewal on its way is stored when it arrives, and not told. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #wait(ms: number): void {
    if (!this.#stopped) this.#cancel = this.#parts.clock.after(ms, () => void this.#attempt());
  }

  async #attempt(): Promise<void> {
    try {
      this.#identity = await renewCertificate(this.#identity, this.#parts);
    } catch (error) {
      const failure = toFarshoreError(error);
      const ms = this.#untilRetry(failure);
      this.#wait(ms);
      if (!this.#stopped) this.#parts.onFailed(failure, ms);
      return;
    }
    this.#failures = 0;
    this.#wait(this.#untilDue());
    if (!this.#stopped) this.#parts.onRenewed(this.#identity);
  }

  /** A day after the certificate was issued, give or take a tenth, so that agents do not come all at once. */
  #untilDue(): number {
    const { clock, random } = this.#parts;
    const { from } = certificateSpan(this.#identity.certificatePem);
    const due = from + DAY * (0.9 + 0.2 * random.fraction()) - clock.now();
    if (due <= 0) return random.fraction() * (this.#isExpired() ? 2_000 : MINUTE);
    // A clock that was set back must not put the renewal off.
    return Math.min(due, DAY);
  }

  #untilRetry(error: FarshoreError): number {
    const longest = this.#isExpired() ? 5 * MINUTE : HOUR;
    const backedOff = errorCodes[error.code].retryable ? FIRST_RETRY * 2 ** Math.min(this.#failures++, 20) : longest;
    return Math.min(backedOff, longest) * (0.5 + 0.5 * this.#parts.random.fraction());
  }

  #isExpired(): boolean {
    return certificateSpan(this.#identity.certificatePem).end <= this.#parts.clock.now();
  }
}

export type RenewOnce = Pick<RenewalParts, 'dataDir' | 'proxy' | 'clock' | 'random'>;

/**
 * One renewal, stored. Where the clocks are apart, the proof is dated by the control plane's own: it is the judge of
 * how old a proof is, and an agent must not be locked out by a wrong clock at its site.
 *
 * Throws what the control plane refused with, why it was not reached, ERR_MESSAGE_INVALID or ERR_STORE_FAILED.
 */
export async function renewCertificate(identity: Identity, parts: RenewOnce): Promise<Identity> {
  const now = parts.clock.now();
  let serverTime = now;
  const attempt = (at: number) => askForCertificate(identity, parts, at, (told) => (serverTime = told));
  const certificate = await attempt(now).catch((error: unknown) => {
    const isApart = Math.abs(serverTime - now) >= CLOCKS_APART;
    if (error instanceof FarshoreError && error.code === 'ERR_PROOF_INVALID' && isApart) return attempt(serverTime);
    throw error;
  });
  return storeCertificate(parts.dataDir, identity, certificate);
}

async function askForCertificate(identity: Identity, parts: RenewOnce, at: number, onServerTime: (told: number) => void): Promise<string> {
  const claims: RenewClaims = {
    aud: 'farshore:renew',
    agentId: identity.agentId,
    csr: identity.requestPem,
    iat: Math.floor(at / 1000),
    jti: parts.random.uuid(),
  };
  const proof = await proveRenewal(claims, identity.keyPem);
  const server = { address: identity.address, authorityPem: identity.authorityPem, proxy: parts.proxy };
  const answer = await postEnrolment(server, '/enrol/v1/renew', { proof }, RenewAnswer, onServerTime);
  // The authority in the answer is not taken: what was pinned at registration stays pinned.
  if (!isOwnCertificate(answer.certificate, identity)) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'the certificate that the control plane sent is not for this agent');
  }
  return answer.certificate;
}

/** The compact JWS (ES256) of a renewal. */
export async function proveRenewal(claims: RenewClaims, keyPem: string): Promise<string> {
  const { CompactSign } = await import('jose');
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  return new CompactSign(payload).setProtectedHeader({ alg: 'ES256' }).sign(createPrivateKey(keyPem));
}
