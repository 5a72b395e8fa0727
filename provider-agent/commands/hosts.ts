/** Handlers of the hosts.* commands: the hosts of a cloud are made ready to replicate with another site, or released. */
import type { Handlers } from './handlers.ts';

type HostsKind = 'hosts.requestAuthority' | 'hosts.prepare' | 'hosts.release';

export const hostsHandlers: Pick<Handlers, HostsKind> = {
  async 'hosts.requestAuthority'(_args, { certificates }) {
    return { csr: await certificates.requestCsr() };
  },

  async 'hosts.prepare'({ authority, root, ...pairing }, { fabric, act, certificates, progress }) {
    progress('preparing');
    const needsCertificates = pairing.authentication === 'certificate';
    const hosts = needsCertificates ? await fabric.replicationHosts(pairing.cloudId) : [];
    const issued = needsCertificates ? await certificates.issueHostCertificates(authority, root, hosts) : [];
    const { address } = await fabric.prepareHosts({ ...pairing, certificates: issued, rootPem: root }, act);
    return { address };
  },

  async 'hosts.release'({ pairingId, cloudId }, { fabric, act, progress }) {
    progress('cleaningUp');
    await fabric.releaseHosts(pairingId, cloudId, act);
    return {};
  },
};
