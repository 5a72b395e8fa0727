/**
 * The agents' authority: one self-signed P-256 certificate authority of the control plane. It certifies the control
 * plane's own listeners (server only) and the agents (client only), and lists what it revoked. An agent pins its digest
 * at registration, so it must outlive every agent; there is no authority above it.
 */
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { agentUri } from '../shared/certificate-names.ts';
import type { AgentId } from '../shared/ids.ts';
import type { Random } from '../shared/ports.ts';
import { AGENT_CERTIFICATE_DAYS } from '../shared/protocol/registration.ts';
import { ECDSA_SHA256, importP256Key, makeP256Key, pemOf } from './agent-request.ts';
import { certificateDigest } from './digest.ts';
import { type KeyPair, makeSerial, validFor } from './validity.ts';

const AUTHORITY_DAYS = 3653;
export const SERVER_CERTIFICATE_DAYS = 397;

export interface IssuedCertificate {
  readonly certificate: string;
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
}

export interface RevokedCertificate {
  readonly serial: string;
  readonly revokedAt: number;
}

/** Where a listener is reached; its certificate names exactly these. */
export interface ListenerNames {
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
}

export async function makeAuthority(now: number, random: Random): Promise<KeyPair> {
  const key = await makeP256Key();
  const keys = await importP256Key(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(random),
    name: [{ CN: ['farshore agents authority'] }],
    ...validFor(AUTHORITY_DAYS, now),
    keys,
    signingAlgorithm: ECDSA_SHA256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key };
}

export class Authority {
  /** PEM; what an agent pins. */
  readonly certificate: string;
  /** SHA-256 of its DER, hex: goes into registration keys. */
  readonly digest: string;
  readonly #issuer: x509.X509Certificate;
  readonly #signingKey: webcrypto.CryptoKey;
  readonly #random: Random;

  private constructor(certificate: string, signingKey: webcrypto.CryptoKey, random: Random) {
    this.certificate = certificate;
    this.digest = certificateDigest(certificate);
    this.#issuer = new x509.X509Certificate(certificate);
    this.#signingKey = signingKey;
    this.#random = random;
  }

  static async open(pair: KeyPair, random: Random): Promise<Authority> {
    return new Authority(pair.certificate, (await importP256Key(pair.key)).privateKey, random);
  }

  /** Key and certificate of a listener. The certificate is followed by the authority: agents look for it in the chain. */
  async issueServer(names: ListenerNames, now: number): Promise<KeyPair> {
    const key = await makeP256Key();
    const { publicKey } = await importP256Key(key);
    const { certificate } = await this.#issue({
      publicKey,
      commonName: names.dnsNames[0] ?? names.addresses[0] ?? 'farshore',
      days: SERVER_CERTIFICATE_DAYS,
      now,
      usage: x509.ExtendedKeyUsage.serverAuth,
      names: [
        ...names.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...names.addresses.map((value) => ({ type: 'ip' as const, value })),
      ],
    });
    return { certificate: certificate + this.certificate, key };
  }

  /** A client certificate for the public key (SPKI, DER) of an agent. */
  issueAgent(spki: Uint8Array<ArrayBuffer>, agentId: AgentId, now: number): Promise<IssuedCertificate> {
    return this.#issue({
      publicKey: new x509.PublicKey(spki),
      commonName: agentId,
      days: AGENT_CERTIFICATE_DAYS,
      now,
      usage: x509.ExtendedKeyUsage.clientAuth,
      names: [{ type: 'url', value: agentUri(agentId) }],
    });
  }

  /**
   * The list of revoked certificates as `server.setSecureContext({ crl })` takes it. It stays good as long as the
   * authority does: OpenSSL refuses everyone under a list that is past its end, and that must not happen to us.
   */
  async revocationList(revoked: readonly RevokedCertificate[], now: number): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.#issuer.subjectName.toJSON(),
      thisUpdate: validFor(0, now).notBefore,
      nextUpdate: this.#issuer.notAfter,
      signingAlgorithm: ECDSA_SHA256,
      signingKey: this.#signingKey,
      entries: revoked.map(({ serial, revokedAt }) => ({ serialNumber: serial, revocationDate: new Date(revokedAt) })),
    });
    // OpenSSL reads the list under this heading only.
    return x509.PemConverter.encode(list.rawData, 'X509 CRL');
  }

  async #issue(order: {
    publicKey: webcrypto.CryptoKey | x509.PublicKey;
    commonName: string;
    days: number;
    now: number;
    usage: x509.ExtendedKeyUsage;
    names: x509.JsonGeneralNames;
  }): Promise<IssuedCertificate> {
    const serial = makeSerial(this.#random);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      issuer: this.#issuer.subjectName.toJSON(),
      subject: [{ CN: [order.commonName] }],
      ...validFor(order.days, order.now),
      publicKey: order.publicKey,
      signingKey: this.#signingKey,
      signingAlgorithm: ECDSA_SHA256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([order.usage]),
        new x509.SubjectAlternativeNameExtension(order.names),
        await x509.SubjectKeyIdentifierExtension.create(order.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#issuer.publicKey),
      ],
    });
    return { certificate: pemOf(certificate), serial, notAfter: certificate.notAfter.getTime() };
  }
}
