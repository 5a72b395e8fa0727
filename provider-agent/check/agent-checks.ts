/** The checks that every agent has, whatever its fabric: who it is, its way to the control plane, its clock, its journal, its room. They read, and change nothing. */
import { statfs } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCodes, toFarshoreError } from '../../shared/errors.ts';
import { type Clock, isoMoment } from '../../shared/ports.ts';
import { certificateSpan, type Identity } from '../enroll/identity.ts';
import { bareHost, dial, type OutboundProxy } from '../enroll/proxy.ts';
import type { CheckFinding, SiteCheck } from '../fabric/site-check.ts';
import type { ServiceDescription } from '../service/describe.ts';

export interface AgentCheckPorts {
  readonly folder: string;
  readonly identity: Identity | null;
  readonly proxy: OutboundProxy | null;
  /** Rejects when the journal cannot be used. */
  readonly checkJournal: () => Promise<void>;
  readonly isRunning: boolean;
  /** How its service stands; null where there are none of that kind. */
  readonly service: (() => Promise<ServiceDescription>) | null;
  /** What ledger and logs may still grow to. */
  readonly bytesWanted: number;
  readonly clock: Clock;
}

const DAY_MS = 86_400_000;
const CONNECT_MS = 15_000;
/** Beside what is limited by settings: journal, site, scripts. */
const ROOM_BYTES = 512 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;
const CLOCK_WARNING_MS = 30_000;
const CLOCK_MOST_MS = 120_000;

export function agentChecks(ports: AgentCheckPorts): SiteCheck[] {
  return [
    { name: 'agent.identity', run: async () => [checkIdentity(ports)] },
    { name: 'agent.journal', run: async () => [await checkJournalFile(ports)] },
    { name: 'agent.room', run: async () => [await checkRoom(ports)] },
    ...(ports.service === null ? [] : [{ name: 'agent.service', run: async () => [judgeService(await ports.service?.())] }]),
    ...(ports.identity === null ? [] : [{ name: 'agent.connection', run: () => checkConnection(ports.identity as Identity, ports) }]),
  ];
}

function checkIdentity({ identity, folder, clock }: AgentCheckPorts): CheckFinding {
  const check = { check: 'agent.identity', subject: folder };
  if (identity === null)
    return {
      ...check,
      state: 'missing',
      found: 'not registered',
      cause: 'Without a registration the agent does not start.',
      remedy:
        'Make a key at the control plane (farshore registration-keys create <site>), then: farshore-agent register --key-file stdin --data <dir>',
    };
  const { end } = certificateSpan(identity.certificatePem);
  const found = `agent ${identity.agentId} of site ${identity.siteId}; its certificate ends ${isoMoment(end)}`;
  const daysLeft = (end - clock.now()) / DAY_MS;
  if (daysLeft > 3) return { ...check, state: 'ok', found };
  return {
    ...check,
    state: daysLeft > 0 ? 'warning' : 'missing',
    found,
    cause: 'It is renewed daily while the agent runs, and was not for some days.',
    remedy: 'Let the agent run; it renews an expired one too. Its log tells why it could not.',
  };
}

async function checkJournalFile({ folder, checkJournal, isRunning }: AgentCheckPorts): Promise<CheckFinding> {
  const check = { check: 'agent.journal', subject: folder };
  try {
    await checkJournal();
    return { ...check, state: 'ok', found: `sound; the agent ${isRunning ? 'runs' : 'does not run'}` };
  } catch (thrown) {
    const error = toFarshoreError(thrown);
    return { ...check, state: 'missing', found: error.message, cause: errorCodes[error.code].cause, remedy: errorCodes[error.code].remedy };
  }
}

async function checkRoom({ folder, bytesWanted }: AgentCheckPorts): Promise<CheckFinding> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const finding = { check: 'agent.room', subject: folder, found: `${Math.floor(free / MEGABYTE)} MB free` };
  if (free >= bytesWanted + ROOM_BYTES) return { ...finding, state: 'ok' };
  return {
    ...finding,
    state: free < ROOM_BYTES ? 'missing' : 'warning',
    cause: `Journal, ledger and logs may grow to ${Math.ceil((bytesWanted + ROOM_BYTES) / MEGABYTE)} MB more; without room the agent does nothing, since it writes first what it does.`,
    remedy: 'Free room on the disk, move the data folder, or lower egress.megabytes and log in agent.yaml.',
  };
}

function judgeService(service: ServiceDescription | undefined): CheckFinding {
  const { name = '', state = null, account, start } = service ?? {};
  const check = { check: 'agent.service', subject: name };
  if (state === null)
    return {
      ...check,
      state: 'warning',
      found: 'there is none',
      cause: 'The agent runs only as long as somebody is signed in who has started it.',
      remedy: 'farshore-agent service install --data <dir> --account DOMAIN\\name$ (another name of the service: --service-name)',
    };
  const finding = { ...check, found: `${state}, start ${start}, as ${account}` };
  if (state !== 'running')
    return {
      ...finding,
      state: 'warning',
      cause: 'The agent does not run.',
      remedy: `The event log (Application, source ${name}) says why; then: sc.exe start ${name}`,
    };
  if (start !== 'delayed' && start !== 'automatic')
    return { ...finding, state: 'warning', cause: 'It does not start with Windows.', remedy: `sc.exe config ${name} start= delayed-auto` };
  if (account?.toLowerCase() === 'localsystem')
    return {
      ...finding,
      state: 'warning',
      cause: 'That account may do everything on this server, and is nobody on the hosts.',
      remedy: 'Run service install again, with a group managed service account.',
    };
  return { ...finding, state: 'ok' };
}

/** By the certificate of the agent and its pinned authority, as the agent connects; the listener answers a plain question with 404 and its time. */
async function checkConnection(identity: Identity, { proxy, clock }: AgentCheckPorts): Promise<CheckFinding[]> {
  const way = proxy === null ? 'directly' : `through the proxy ${proxy.host}:${proxy.port}`;
  const check = { check: 'agent.connection', subject: new URL(identity.channel).host };
  try {
    const { serverAt } = await ask(identity, proxy);
    return [{ ...check, state: 'ok', found: `answers ${way}` }, judgeClock(check.subject, serverAt, clock.now())];
  } catch (thrown) {
    const error = toFarshoreError(thrown);
    const isKnown = error.code !== 'ERR_INTERNAL';
    const said = isKnown ? error.message : ((error.cause as Error | undefined)?.message ?? error.message);
    const { cause, remedy } = isKnown ? errorCodes[error.code] : errorCodes.ERR_CONTROL_PLANE_UNREACHABLE;
    return [{ ...check, state: 'missing', found: `${said} (${way})`, cause, remedy }];
  }
}

function judgeClock(subject: string, serverAt: number | null, now: number): CheckFinding {
  const check = { check: 'agent.clock', subject };
  if (serverAt === null)
    return {
      ...check,
      state: 'unknown',
      found: 'it told no time',
      cause: 'Clocks that are apart spoil deadlines and certificates.',
      remedy: 'Compare the clocks of both by hand.',
    };
  // The time comes in whole seconds, cut off.
  const apartMs = Math.max(0, Math.abs(now - serverAt - 500) - 500);
  const found = `${Math.round(apartMs / 1000)} s apart from the control plane`;
  if (apartMs <= CLOCK_WARNING_MS) return { ...check, state: 'ok', found };
  return {
    ...check,
    state: apartMs > CLOCK_MOST_MS ? 'missing' : 'warning',
    found,
    cause: 'Deadlines of commands and the proof of a renewal are told by the clock.',
    remedy: 'Let both take the time of the same source: w32tm /resync here, or chronyc makestep where the control plane runs.',
  };
}

async function ask(identity: Identity, proxy: OutboundProxy | null): Promise<{ serverAt: number | null }> {
  const url = new URL(identity.channel);
  const host = bareHost(url.hostname);
  const port = Number(url.port === '' ? 443 : url.port);
  const signal = AbortSignal.timeout(CONNECT_MS);
  const way = await dial(host, port, proxy, signal);
  try {
    return await questionOver(way, host, identity, signal);
  } finally {
    way.destroy();
  }
}

function questionOver(way: Socket, host: string, identity: Identity, signal: AbortSignal): Promise<{ serverAt: number | null }> {
  const { certificatePem: cert, keyPem: key, authorityPem: ca } = identity;
  const agent = new Agent();
  agent.createConnection = () =>
    connectTls({ socket: way, cert, key, ca, servername: /^[\d.:]+$/.test(host) ? '' : host, host, minVersion: 'TLSv1.3' });
  return new Promise((resolve, reject) => {
    const asking = request({ agent, host, path: '/', method: 'GET', signal }, (response) => {
      const serverAt = Date.parse(response.headers.date ?? '');
      response.resume().on('close', () => resolve({ serverAt: Number.isNaN(serverAt) ? null : serverAt }));
    });
    asking.once('error', reject).end();
  });
}
