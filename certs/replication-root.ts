/**
 * The replication root of a vault. It signs one thing only: the authority of each site, under which the site issues its
 * hosts' certificates by itself. So the names of hosts never leave a site, and any two sites of the vault trust each other.
 */
import forge from 'node-forge';
import { replicationAuthorityName } from '../shared/certificate-names.ts';
import { FarshoreError } from '../shared/errors.ts';
import type { SiteId } from '../shared/ids.ts';
import type { Random } from '../shared/ports.ts';
import { makeRsaKey, signRsaCertificate } from './rsa-certificate.ts';
import type { KeyPair } from './validity.ts';

const ROOT_DAYS = 3653;
const SITE_AUTHORITY_DAYS = 365;
const authorityUsage = { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true };

export async function makeReplicationRoot(now: number, random: Random): Promise<KeyPair> {
  const key = await makeRsaKey();
  const signingKey = forge.pki.privateKeyFromPem(key);
  const certificate = signRsaCertificate(
    {
      commonName: 'farshore replication root',
      publicKey: forge.pki.setRsaPublicKey(signingKey.n, signingKey.e),
      issuer: null,
      signingKey,
      days: ROOT_DAYS,
      extensions: [{ name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 1 }, authorityUsage],
    },
    now,
    random,
  );
  return { certificate: forge.pki.certificateToPem(certificate), key };
}

/**
 * The certificate (PEM) of a site's replication authority. Only the public key is taken from the request; the name is the
 * site's id. Throws ERR_CSR_INVALID.
 */
export function signSiteAuthority(root: KeyPair, csr: string, siteId: SiteId, now: number, random: Random): string {
  const certificate = signRsaCertificate(
    {
      commonName: replicationAuthorityName(siteId),
      publicKey: readSiteRequest(csr),
      issuer: forge.pki.certificateFromPem(root.certificate),
      signingKey: forge.pki.privateKeyFromPem(root.key),
      days: SITE_AUTHORITY_DAYS,
      extensions: [{ name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 }, authorityUsage],
    },
    now,
    random,
  );
  return forge.pki.certificateToPem(certificate);
}

function readSiteRequest(pem: string): forge.pki.rsa.PublicKey {
  let publicKey: forge.pki.rsa.PublicKey | null;
  let verified: boolean;
  try {
    const request = forge.pki.certificationRequestFromPem(pem);
    publicKey = request.publicKey as forge.pki.rsa.PublicKey | null;
    verified = request.verify();
  } catch (cause) {
    throw new FarshoreError('ERR_CSR_INVALID', "the request for the site's replication authority cannot be read", { cause });
  }
  if (publicKey === null || !verified) {
    throw new FarshoreError('ERR_CSR_INVALID', "the request for the site's replication authority is not signed by its own key");
  }
  if (publicKey.n.bitLength() < 2048) {
    throw new FarshoreError('ERR_CSR_INVALID', "the key of the site's replication authority is shorter than 2048 bits");
  }
  return publicKey;
}
