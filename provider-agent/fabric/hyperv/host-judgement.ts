/** What the facts of a host mean for the agent: what is missing, why that matters, and how it is mended. Pure. */
import type { CheckFinding } from '../site-check.ts';
import type { HyperVFacts, RemoteFacts, StoredCertificate } from './check-facts.ts';
import type { HyperVCloud } from './hyperv-config.ts';

/** Display names, in an English Windows. */
export const LISTENER_RULES = {
  certificate: 'Hyper-V Replica HTTPS Listener (TCP-In)',
  kerberos: 'Hyper-V Replica HTTP Listener (TCP-In)',
} as const;
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
/** Windows Server 2016. */
const OLDEST_BUILD = 14_393;
const CLOCK_WARNING_MS = 30_000;
/** Kerberos refuses whoever is further away. */
const CLOCK_MOST_MS = 300_000;
const DAY_MS = 86_400_000;
const EXPIRES_SOON_DAYS = 30;
const PAIRED_BY_AGENT = 'Nothing is to be done: pairing the cloud does it.';

export interface HostFacts {
  readonly host: string;
  readonly cloud: HyperVCloud;
  readonly hyperV: HyperVFacts;
  readonly remote: RemoteFacts;
  /** By the clock of the agent, when the host told its own. */
  readonly nowMs: number;
}

export function judgeHost(facts: HostFacts): CheckFinding[] {
  return [judgeWindows(facts), judgeClock(facts), judgeServer(facts), judgeFirewall(facts), judgeCertificate(facts)];
}

function judgeWindows({ host, remote }: HostFacts): CheckFinding {
  const [major = 0, , build = 0] = remote.version.split('.').map(Number);
  const finding = { check: 'hyperv.windows', subject: host, found: `${remote.windows} (${remote.version})` };
  if (major > 10 || (major === 10 && build >= OLDEST_BUILD)) return { ...finding, state: 'ok' };
  return {
    ...finding,
    state: 'missing',
    cause: 'The agent is made for the Hyper-V cmdlets of Windows Server 2016 and newer.',
    remedy: 'Bring the host to Windows Server 2016 or newer, or take it out of agent.yaml.',
  };
}

function judgeClock({ host, remote, nowMs }: HostFacts): CheckFinding {
  const apartMs = Math.abs(remote.nowMs - nowMs);
  const finding = { check: 'hyperv.clock', subject: host, found: `${Math.round(apartMs / 1000)} s apart from this computer` };
  if (apartMs <= CLOCK_WARNING_MS) return { ...finding, state: 'ok' };
  return {
    ...finding,
    state: apartMs > CLOCK_MOST_MS ? 'missing' : 'warning',
    cause: 'Moments of recovery points are told by the clock of the host; beyond five minutes Windows refuses to sign in.',
    remedy: 'Let both take the time of the domain: w32tm /resync on each; w32tm /query /status tells the source.',
  };
}

function judgeServer({ host, cloud, hyperV }: HostFacts): CheckFinding {
  const check = { check: 'hyperv.replicaServer', subject: host };
  if (!hyperV.isReplicaServer)
    return {
      ...check,
      state: 'warning',
      found: 'no replica server yet',
      cause: 'No cloud is paired with this one so far.',
      remedy: PAIRED_BY_AGENT,
    };
  const peers = new Set(hyperV.trustGroups.filter((group) => group.startsWith('farshore-'))).size;
  const { way, port } = listenerOf(hyperV);
  const found = `takes replicas by ${hyperV.authentication} on port ${port}, from ${hyperV.isOpenToAll ? 'any server' : `${peers} paired sites`}`;
  if (way === 'kerberos' && peers === 0)
    return {
      ...check,
      state: 'warning',
      found,
      cause: 'The host takes no replicas by certificate.',
      remedy: `Pairing allows it beside Kerberos. By hand: Set-VMReplicationServer -ComputerName ${host} -AllowedAuthenticationType CertificateAndKerberos`,
    };
  if (hyperV.isOpenToAll)
    return {
      ...check,
      state: 'warning',
      found,
      cause: 'Whoever has a certificate that this host trusts may send replicas to it; the agent leaves it so.',
      remedy: `Name the senders instead: Set-VMReplicationServer -ComputerName ${host} -ReplicationAllowedFromAnyServer $false, then pair ${cloud.name} again.`,
    };
  return { ...check, state: 'ok', found };
}

/** A host that takes replicas both ways is looked at as one that takes them by certificate, as pairings do unless they say otherwise. */
function listenerOf({ isReplicaServer, authentication, port, kerberosPort }: HyperVFacts) {
  if (isReplicaServer && authentication === 'Kerberos') return { way: 'kerberos', port: kerberosPort } as const;
  return { way: 'certificate', port } as const;
}

function judgeFirewall({ host, hyperV, remote }: HostFacts): CheckFinding {
  const check = { check: 'hyperv.firewall', subject: host };
  const { way, port } = listenerOf(hyperV);
  const name = LISTENER_RULES[way];
  const rules = remote.rules.filter((rule) => rule.name === name);
  if (rules.some(({ enabled }) => enabled === 'True')) return { ...check, state: 'ok', found: `'${name}' is enabled` };
  if (rules.length === 0)
    return {
      ...check,
      state: 'missing',
      found: `no rule '${name}'`,
      cause: 'Windows brings the rule with Hyper-V, and it is found by its English name: Windows of another language names it otherwise.',
      remedy: `Make a rule of this name: New-NetFirewallRule -DisplayName '${name}' -Direction Inbound -Protocol TCP -LocalPort ${port} -Action Allow`,
    };
  const cause = 'Replicas and what is copied back cannot come in.';
  const found = `'${name}' is disabled`;
  return hyperV.isReplicaServer
    ? { ...check, state: 'missing', found, cause, remedy: `On ${host}: Enable-NetFirewallRule -DisplayName '${name}'` }
    : { ...check, state: 'warning', found, cause, remedy: PAIRED_BY_AGENT };
}

function judgeCertificate({ host, cloud, hyperV, remote, nowMs }: HostFacts): CheckFinding {
  const check = { check: 'hyperv.certificate', subject: host };
  if (!hyperV.isReplicaServer || !/Certificate/.test(hyperV.authentication))
    return { ...check, state: 'ok', found: 'none is needed: one comes with a pairing by certificate' };
  const used = remote.certificates.find(({ thumbprint }) => thumbprint.toLowerCase() === hyperV.thumbprint.toLowerCase());
  const remedy = `Pair ${cloud.name} again: a certificate of its own is issued for each host.`;
  if (used === undefined)
    return {
      ...check,
      state: 'missing',
      found: `none with the thumbprint ${hyperV.thumbprint || '(empty)'}`,
      cause: 'The replica server names a certificate that is not in the personal store of the computer.',
      remedy,
    };
  const names = cloud.cluster === null || cloud.replicaServer === host ? [host] : [host, cloud.replicaServer];
  const faults = faultsOf(used, names, nowMs);
  const days = Math.floor((used.notAfterMs - nowMs) / DAY_MS);
  const found = `${used.thumbprint}, for ${used.names.join(', ')}, ${days < 0 ? 'expired' : `ends in ${days} days`}`;
  if (faults.length > 0) return { ...check, state: 'missing', found, cause: `The certificate ${faults.join('; it ')}.`, remedy };
  if (days < EXPIRES_SOON_DAYS)
    return { ...check, state: 'warning', found, cause: 'The certificate expires soon; then nothing replicates.', remedy };
  return { ...check, state: 'ok', found };
}

/** What Hyper-V Replica wants of a certificate (hyperv/facts.md, section 5). */
function faultsOf({ hasKey, notAfterMs, usages, names }: StoredCertificate, wanted: readonly string[], nowMs: number): string[] {
  const nameless = wanted.filter((name) => !names.some((each) => fits(each, name)));
  return [
    ...(hasKey ? [] : ['has no private key on this host']),
    ...(notAfterMs <= nowMs ? ['has expired'] : []),
    ...(usages.includes(SERVER_AUTHENTICATION) ? [] : [`is not for server authentication (${SERVER_AUTHENTICATION})`]),
    ...(usages.includes(CLIENT_AUTHENTICATION) ? [] : [`is not for client authentication (${CLIENT_AUTHENTICATION})`]),
    ...(nameless.length === 0 ? [] : [`does not name ${nameless.join(', ')}`]),
  ];
}

function fits(pattern: string, name: string): boolean {
  const [left, right] = [pattern.toLowerCase(), name.toLowerCase()];
  return left === right || (left.startsWith('*.') && right.split('.').slice(1).join('.') === left.slice(2));
}
