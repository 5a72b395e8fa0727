/**
 * Registration: the key that an engineer brought becomes the agent's identity. All or nothing: the agent looks who
 * answers before it tells anything, and writes only when it has everything. When it dies between the answer and the
 * write, the key is used and nothing is here: the next try says ERR_KEY_USED, and a new key is made.
 */
import { FarshoreError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { parseRegistrationKey, RegisterAnswer } from '../../shared/protocol/registration.ts';
import { postEnrolment } from './enrolment-client.ts';
import { lookForAuthority } from './first-look.ts';
import { type Identity, isOwnCertificate, loadIdentity, storeIdentity } from './identity.ts';
import { IssuerKeys } from './issuer-keys.ts';
import type { OutboundProxy } from './proxy.ts';

export interface Registration {
  readonly dataDir: string;
  readonly proxy: OutboundProxy | null;
  readonly clock: Clock;
  readonly agentVersion: string;
  /** Take the place of an identity that is there already. */
  readonly replace?: boolean;
}

/**
 * Throws ERR_KEY_MALFORMED, ERR_ALREADY_REGISTERED, ERR_KEY_FOREIGN, ERR_KEY_UNKNOWN, ERR_KEY_USED, ERR_KEY_EXPIRED,
 * ERR_CONTROL_PLANE_UNREACHABLE, ERR_PROXY_REFUSED, ERR_MESSAGE_INVALID, ERR_STORE_FAILED.
 */
export async function register(keyText: string, registration: Registration): Promise<Identity> {
  const { dataDir, proxy, clock, agentVersion } = registration;
  const key = parseRegistrationKey(keyText);
  if (registration.replace !== true && (await loadIdentity(dataDir)) !== null) {
    throw new FarshoreError('ERR_ALREADY_REGISTERED', `${dataDir} holds the identity of a registered agent`);
  }
  const authorityPem = await lookForAuthority({ address: key.address, authorityDigest: key.authorityDigest, proxy, clock });
  // Loaded here only: an agent at rest does without the certificate library.
  const { makeAgentRequest, makeP256Key } = await import('../../certs/agent-request.ts');
  const keyPem = await makeP256Key();
  const requestPem = await makeAgentRequest(keyPem);
  const server = { address: key.address, authorityPem, proxy };
  const request = { secret: key.secret, csr: requestPem, agentVersion };
  const answer = await postEnrolment(server, '/enrol/v1/register', request, RegisterAnswer);
  const { agentId, siteId, vaultId, channel, issuerKeys } = answer;
  const identity: Identity = {
    agentId,
    siteId,
    vaultId,
    channel,
    issuerKeys,
    address: key.address,
    keyPem,
    requestPem,
    authorityPem,
    certificatePem: answer.certificate,
  };
  checkAnswer(identity);
  await storeIdentity(dataDir, identity);
  return identity;
}

function checkAnswer(identity: Identity): void {
  if (!isOwnCertificate(identity.certificatePem, identity)) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'the certificate that the control plane sent is not for this agent');
  }
  try {
    new IssuerKeys(identity.issuerKeys);
  } catch (cause) {
    throw new FarshoreError('ERR_MESSAGE_INVALID', 'an issuer key that the control plane sent cannot be read', { cause });
  }
}
