/**
 * Who this agent is, on disk. The files of one identity live in a folder of their own, named by the agent's id;
 * `identity.json` points there and is written last, in one rename. So at any moment there is the old identity, the new
 * one, or none: never a mixture. A renewal rewrites only the certificate, because the key stays.
 */
import { X509Certificate } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { certificateEnd, spkiOf } from '../../certs/digest.ts';
import { makePrivateFolder, readTextIfThere, writeFileDurably } from '../../certs/key-files.ts';
import { agentIdIn } from '../../shared/certificate-names.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { AgentId, SiteId, VaultId } from '../../shared/ids.ts';

const IdentityFile = z.strictObject({
  agentId: AgentId,
  siteId: SiteId,
  vaultId: VaultId,
  /** `https://host:port` of the enrolment listener: renewals go there. */
  address: z.url({ protocol: /^https$/ }),
  /** `wss://host:port/agent`. */
  channel: z.url({ protocol: /^wss$/ }),
  issuerKeys: z.array(z.string()).min(1),
});

export type Identity = z.infer<typeof IdentityFile> & {
  /** PKCS#8. */
  readonly keyPem: string;
  /** The request for `keyPem`: every renewal sends it again. */
  readonly requestPem: string;
  readonly certificatePem: string;
  /** The control plane's authority, pinned at registration. */
  readonly authorityPem: string;
};

const POINTER = 'identity.json';
const files = { keyPem: 'key.pem', requestPem: 'request.pem', certificatePem: 'certificate.pem', authorityPem: 'authority.pem' } as const;

/** The identity of the agent, or null before its registration. Throws ERR_IDENTITY_DAMAGED. */
export async function loadIdentity(dataDir: string): Promise<Identity | null> {
  const text = await readTextIfThere(join(dataDir, POINTER));
  if (text === null) return null;
  const head = parsePointer(text);
  const folder = join(dataDir, head.agentId);
  const readPart = async (name: string) => (await readTextIfThere(join(folder, name))) ?? damaged(`${name} is missing`);
  const identity: Identity = {
    ...head,
    keyPem: await readPart(files.keyPem),
    requestPem: await readPart(files.requestPem),
    certificatePem: await readPart(files.certificatePem),
    authorityPem: await readPart(files.authorityPem),
  };
  if (!isOwnCertificate(identity.certificatePem, identity)) damaged('the certificate does not fit the key, the agent or the authority');
  // Needed a day later at the earliest, by the renewal; told now.
  if (!isOwnRequest(identity)) damaged('the certificate request does not fit the key');
  return identity;
}

/** Makes this the agent's identity. The files of an earlier one go once the new one counts. Throws ERR_STORE_FAILED. */
export async function storeIdentity(dataDir: string, identity: Identity): Promise<void> {
  const { keyPem, requestPem, certificatePem, authorityPem, ...head } = identity;
  const folder = join(dataDir, identity.agentId);
  try {
    await makePrivateFolder(folder);
    await writeFileDurably(join(folder, files.keyPem), keyPem);
    await writeFileDurably(join(folder, files.requestPem), requestPem);
    await writeFileDurably(join(folder, files.certificatePem), certificatePem);
    await writeFileDurably(join(folder, files.authorityPem), authorityPem);
    await writeFileDurably(join(dataDir, POINTER), `${JSON.stringify(head, null, 2)}\n`);
  } catch (cause) {
    // The very last sync may fail after the rename: then the new identity counts already.
    if ((await pointedTo(dataDir)) !== identity.agentId) await rm(folder, { recursive: true, force: true });
    throw new FarshoreError('ERR_STORE_FAILED', `the identity of the agent cannot be written to ${dataDir}`, { cause });
  }
  await removeOthers(dataDir, identity.agentId);
}

/** Folders of earlier identities, and of one whose registration died before the pointer was written. */
async function removeOthers(dataDir: string, agentId: AgentId): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (name !== agentId && AgentId.safeParse(name).success) await rm(join(dataDir, name), { recursive: true, force: true });
  }
}

async function pointedTo(dataDir: string): Promise<AgentId | null> {
  const text = await readTextIfThere(join(dataDir, POINTER));
  return text === null ? null : (IdentityFile.safeParse(parseJson(text)).data?.agentId ?? null);
}

/** Stores a renewed certificate and answers the identity with it. Throws ERR_STORE_FAILED. */
export async function storeCertificate(dataDir: string, identity: Identity, certificatePem: string): Promise<Identity> {
  try {
    await writeFileDurably(join(dataDir, identity.agentId, files.certificatePem), certificatePem);
  } catch (cause) {
    throw new FarshoreError('ERR_STORE_FAILED', `the renewed certificate cannot be written to ${dataDir}`, { cause });
  }
  return { ...identity, certificatePem };
}

/** Whether the certificate is this agent's: for its key, in its name, signed by the authority it pinned. */
export function isOwnCertificate(certificatePem: string, identity: Pick<Identity, 'agentId' | 'keyPem' | 'authorityPem'>): boolean {
  try {
    const certificate = new X509Certificate(certificatePem);
    const authority = new X509Certificate(identity.authorityPem);
    return (
      spkiOf(certificatePem) === spkiOf(identity.keyPem) &&
      agentIdIn(certificate.subjectAltName) === identity.agentId &&
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey)
    );
  } catch {
    return false;
  }
}

/** Whether the public key stands in the request: enough to tell a damaged file, without the certificate library. */
function isOwnRequest({ requestPem, keyPem }: Pick<Identity, 'requestPem' | 'keyPem'>): boolean {
  const body = requestPem.replaceAll(/-----[A-Z ]+-----|\s/g, '');
  return Buffer.from(body, 'base64').includes(Buffer.from(spkiOf(keyPem), 'base64'));
}

/** When the certificate was issued and when it ends, milliseconds since 1970. */
export function certificateSpan(certificatePem: string): { readonly from: number; readonly end: number } {
  return { from: Date.parse(new X509Certificate(certificatePem).validFrom), end: certificateEnd(certificatePem) };
}

function parsePointer(text: string): z.infer<typeof IdentityFile> {
  const parsed = IdentityFile.safeParse(parseJson(text));
  return parsed.success ? parsed.data : damaged(`${POINTER} cannot be read`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function damaged(what: string): never {
  throw new FarshoreError('ERR_IDENTITY_DAMAGED', `the identity of the agent is damaged: ${what}`);
}
