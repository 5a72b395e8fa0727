/**
 * What the control plane may ask of an agent.
 *
 * A command is one piece of work that the agent can finish alone: all it needs is in `args`, so an agent that
 * loses its channel midway still finishes and reports later. Its id is the same on every delivery; the agent does
 * an id once and answers repeats from its journal. Past the envelope's deadline it is not begun: a failover asked
 * for last night must not start when the line comes back this morning.
 */
import { z } from 'zod';
import { FirstCopy, FirstCopyFolder } from '../domain/first-copy.ts';
import { RUN_KINDS, ScriptParameters } from '../domain/plan-actions.ts';
import { ProtectionPolicy, ReplicationSettings } from '../domain/policy.ts';
import { CloudId, JobId, NetworkId, PairingId, ProtectedVmId, SiteId, VmRef } from '../ids.ts';

const Moment = z.iso.datetime();
const Pem = z.string().max(16_000).startsWith('-----BEGIN ');
/** `host:port`, as the recovery site published it. */
const Address = z
  .string()
  .max(260)
  .regex(/^[A-Za-z0-9.:[\]-]+:\d{1,5}$/);

export const RecoveryPointChoice = z.discriminatedUnion('choose', [
  z.strictObject({ choose: z.literal('latest') }),
  z.strictObject({ choose: z.literal('latestApplicationConsistent') }),
  z.strictObject({ choose: z.literal('given'), id: z.string().max(100) }),
]);
export type RecoveryPointChoice = z.infer<typeof RecoveryPointChoice>;

const Host = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9._:-]+$/);

/** What a plan waits for; a guest is named by where it stands at the site that is asked. */
export const WaitCondition = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tcp'), host: Host, port: z.int().min(1).max(65_535) }),
  z.strictObject({ kind: z.literal('http'), url: z.url({ protocol: /^https?$/ }).max(2000), status: z.int().min(100).max(599) }),
  /** `isTestCopy`: not this VM is meant, but its test copy. */
  z.strictObject({ kind: z.literal('guest'), guest: VmRef, isTestCopy: z.literal(true).optional() }),
]);
export type WaitCondition = z.infer<typeof WaitCondition>;

const Digest = z.string().regex(/^[0-9a-f]{64}$/);
export const ScriptName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);

/** How many VMs a script is told of at most: its command has to fit into a message. */
export const SCRIPT_VMS_MOST = 1_000;

/**
 * What a script is told of the run it is a part of. The agent adds what only its site knows: the names and addresses of the VMs
 * there, and whether they run.
 */
export const ScriptContext = z.strictObject({
  plan: z.strictObject({ name: z.string().max(100), version: z.int().min(1) }).nullable(),
  kind: z.enum(RUN_KINDS),
  direction: z.enum(['toRecovery', 'toPrimary']),
  group: z.string().max(100),
  action: z.string().max(100),
  /** Which site of the pairing the agent is. */
  location: z.enum(['primary', 'recovery']),
  vms: z.array(z.strictObject({ id: ProtectedVmId, ref: VmRef })).max(SCRIPT_VMS_MOST),
  parameters: ScriptParameters.optional(),
  /** What fails over besides VMs: `primary` has it now, `secondary` takes over; forced where the primary cannot be asked. */
  channel: z
    .strictObject({
      name: z.string().max(100),
      mode: z.enum(['planned', 'forced']),
      primary: z.string().max(100),
      secondary: z.string().max(100),
    })
    .optional(),
});
export type ScriptContext = z.infer<typeof ScriptContext>;

/** A network that is there, or one of the drill's own: made like another one, without a way out, and removed with the last copy. */
const DrillNetwork = z.union([NetworkId, z.strictObject({ drill: JobId, like: NetworkId })]);

const nothing = z.strictObject({});

/** Each command: the side that runs it, its arguments and the result it answers with. */
export const commands = {
  /**
   * Either side: ask for the certificate of the site's own replication authority. The site issues its hosts'
   * certificates under it by itself, so that the names of hosts never leave the site.
   */
  'hosts.requestAuthority': {
    args: z.strictObject({ pairingId: PairingId }),
    result: z.strictObject({ csr: Pem }),
  },
  /** Either side: configure every host of the cloud for Hyper-V Replica with the other site, to send and to receive. */
  'hosts.prepare': {
    args: z.strictObject({
      pairingId: PairingId,
      cloudId: CloudId,
      authentication: z.enum(['certificate', 'kerberos']),
      port: z.int().min(1).max(65535).nullable(),
      /** The site's own authority, signed by the replication root of the vault. */
      authority: Pem,
      root: Pem,
      /** The other end of the pairing. */
      peer: z.strictObject({ siteId: SiteId, cloudId: CloudId }),
    }),
    /** Where this side receives replicas. */
    result: z.strictObject({ address: Address }),
  },
  /** Either side: take the preparation back. */
  'hosts.release': {
    args: z.strictObject({ pairingId: PairingId, cloudId: CloudId }),
    result: nothing,
  },
  /** Either side, looks only: the primary exists and does not replicate yet; at the recovery side there is no VM of that id. */
  'replication.admit': {
    args: z.strictObject({ vm: VmRef, role: z.enum(['primary', 'recovery']) }),
    result: nothing,
  },
  /** Primary: enable replication; the replica appears at the recovery site, off and unconnected. */
  'replication.enable': {
    args: z.strictObject({
      vm: VmRef,
      target: z.strictObject({ siteId: SiteId, cloudId: CloudId, address: Address }),
      policy: ProtectionPolicy,
    }),
    result: nothing,
  },
  /** Recovery: set networks and reserve addresses for the day of the failover. */
  'replica.configure': {
    args: z.strictObject({
      vm: VmRef,
      networks: z.array(z.strictObject({ from: NetworkId, to: NetworkId })).max(200),
    }),
    result: nothing,
  },
  /** Primary: what the policy says of replication holds from now on, at the replica too. */
  'replication.setPolicy': {
    args: z.strictObject({ vm: VmRef, policy: ProtectionPolicy }),
    result: nothing,
  },
  /** Primary: start the initial replication; without `firstCopy` now and over the network. The copying goes on by itself. */
  'replication.seed': {
    args: z.strictObject({ vm: VmRef, firstCopy: FirstCopy.optional() }),
    result: nothing,
  },
  /**
   * Either side, looks only: it replicates already, with the settings given, and is adopted as it is. The replica must hold what
   * the primary sent last, so that a replica left over from another replication is not taken for this one's.
   */
  'replication.admitAdoption': {
    args: z.strictObject({
      vm: VmRef,
      role: z.enum(['primary', 'replica']),
      settings: ReplicationSettings.nullable(),
      pointAt: Moment.nullable(),
    }),
    result: z.strictObject({ pointAt: Moment.nullable() }),
  },
  /** Either side, looks only: the replica was failed over; its primary is off, or may be shut down. Tells whether that was planned. */
  'replication.admitReversal': {
    args: z.strictObject({ vm: VmRef, role: z.enum(['primary', 'replica']), shutDown: z.boolean() }),
    result: z.strictObject({ isPlanned: z.boolean() }),
  },
  /** Former primary: be off, and a replica from now on. After a planned failover that comes with the reversal, and nothing is done. */
  'replication.becomeReplica': {
    args: z.strictObject({ vm: VmRef, isPlanned: z.boolean(), shutDown: z.boolean() }),
    result: nothing,
  },
  /** Where it runs after a failover: be the primary, and send to the side that was the primary before. */
  'replication.reverse': {
    args: z.strictObject({
      vm: VmRef,
      target: z.strictObject({ siteId: SiteId, cloudId: CloudId, address: Address }),
      policy: ProtectionPolicy,
    }),
    result: nothing,
  },
  /** Primary: whatever keeps it from replicating is mended, by comparing the copies where need be. The copying goes on by itself. */
  'replication.resynchronize': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Either end, looks only: it replicates, or is suspended. */
  'replication.admitSuspension': {
    args: z.strictObject({ vm: VmRef, role: z.enum(['primary', 'replica']) }),
    result: nothing,
  },
  /** Either end: a primary sends nothing until it is resumed, a replica takes nothing. */
  'replication.suspend': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Either end: what was suspended goes on. */
  'replication.resume': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Recovery, looks only: the replica takes what its primary sends. */
  'replica.admit': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Recovery: take the first copy in that was exported at the primary and carried here. */
  'replica.importFirstCopy': {
    args: z.strictObject({ vm: VmRef, folder: FirstCopyFolder }),
    result: nothing,
  },
  /** Primary: end replication on this side. */
  'replication.disable': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Recovery: end replication on this side and, when asked, delete the replica. */
  'replica.remove': {
    args: z.strictObject({ vm: VmRef, deleteReplica: z.boolean() }),
    result: nothing,
  },
  /** Either side, looks only: the primary replicates and is on or off, the replica is ready to take over. */
  'failover.admit': {
    args: z.strictObject({ vm: VmRef, role: z.enum(['primary', 'replica']) }),
    result: z.strictObject({ isRunning: z.boolean() }),
  },
  /** Primary: shut the guest down and send the last changes. From then on the VM cannot be started there. */
  'failover.prepare': {
    args: z.strictObject({ vm: VmRef }),
    result: z.strictObject({ lastChangesAt: Moment }),
  },
  /** Primary: take `failover.prepare` back; the VM goes on replicating, and runs again if it ran. */
  'failover.unprepare': {
    args: z.strictObject({ vm: VmRef, isRunning: z.boolean() }),
    result: nothing,
  },
  /** Recovery: make the replica startable from a recovery point, with its network and address. Starts nothing. */
  'failover.execute': {
    args: z.strictObject({ vm: VmRef, recoveryPoint: RecoveryPointChoice }),
    result: z.strictObject({ recoveryPointId: z.string().max(100), recoveryPointAt: Moment }),
  },
  /** Recovery, looks only: the replica has a recovery point of the kind asked for. */
  'failover.findPoint': {
    args: z.strictObject({ vm: VmRef, recoveryPoint: RecoveryPointChoice }),
    result: z.strictObject({ recoveryPointId: z.string().max(100), recoveryPointAt: Moment }),
  },
  /** Recovery: take a failover back, as long as nothing is committed. `onlyOwn`: one that another step did is left as it is. */
  'failover.cancel': {
    args: z.strictObject({ vm: VmRef, onlyOwn: z.literal(true).optional() }),
    result: nothing,
  },
  /** Recovery: start the VM and wait until its guest answers. This is the activation. */
  'vm.start': {
    args: z.strictObject({
      vm: VmRef,
      guestAnswersWithinSeconds: z.int().min(0).max(3600),
      /** How many may start at once on the host where it stands; absent: as many as come. */
      startsPerHost: z.int().min(1).max(1000).optional(),
    }),
    result: z.strictObject({ runningAt: Moment, answeredAt: Moment.nullable() }),
  },
  /** Either side, looks only: until it is so, or the time is over. */
  'wait.until': {
    args: z.strictObject({ condition: WaitCondition, withinSeconds: z.int().min(1).max(86_400) }),
    result: z.strictObject({ metAt: Moment }),
  },
  /** Primary, looks only: until all that differs has arrived at the other side, which may take days. */
  'wait.copied': {
    args: z.strictObject({ vm: VmRef }),
    result: z.strictObject({ recoveryPointAt: Moment }),
  },
  /** Primary, looks only: until the whole first copy stands in the folder that it is exported to. */
  'wait.exported': {
    args: z.strictObject({ vm: VmRef }),
    result: nothing,
  },
  /** Either side: run a script of the site, once. It has ended when this is answered, well or not: the exit code says. */
  'script.run': {
    args: z.strictObject({ name: ScriptName, sha256: Digest, context: ScriptContext, withinSeconds: z.int().min(1).max(86_400) }),
    result: z.strictObject({
      exitCode: z.int().min(-2_147_483_648).max(4_294_967_295),
      durationMs: z.int().min(0),
      sha256: Digest,
      /** Where the site keeps what it said. */
      outputRef: z.string().regex(/^[0-9a-f-]{0,36}$/),
    }),
  },
  /** Recovery: give up the other recovery points. */
  'failover.commit': {
    /** `onlyRunning`: of one of which nobody knows whether it runs there. */
    args: z.strictObject({ vm: VmRef, onlyRunning: z.literal(true).optional() }),
    result: nothing,
  },
  /** Recovery, looks only: the replica can be drilled, no test copy of it is there, and the network leads nowhere. */
  'drill.admit': {
    args: z.strictObject({ vm: VmRef, recoveryPoint: RecoveryPointChoice, network: DrillNetwork.nullable() }),
    result: nothing,
  },
  /** Recovery: make the test copy from a recovery point, off and unconnected. The replica goes on replicating. */
  'drill.copy': {
    args: z.strictObject({ vm: VmRef, recoveryPoint: RecoveryPointChoice }),
    result: z.strictObject({ recoveryPointId: z.string().max(100), recoveryPointAt: Moment }),
  },
  /** Recovery: make the network if need be, verify that it leads nowhere and connect the test copy to it, with the addresses of a failover. */
  'drill.connect': {
    args: z.strictObject({ vm: VmRef, network: DrillNetwork }),
    result: nothing,
  },
  /** Recovery: start the test copy, which is connected to that network at most, and wait until its guest answers. */
  'drill.start': {
    args: z.strictObject({ vm: VmRef, network: DrillNetwork.nullable(), guestAnswersWithinSeconds: z.int().min(0).max(3600) }),
    result: z.strictObject({ runningAt: Moment, answeredAt: Moment.nullable() }),
  },
  /** Recovery: remove the test copy, running or not, and the network that was made for the drill with the last one. There may be none. */
  'drill.cleanUp': {
    args: z.strictObject({ vm: VmRef, drill: JobId }),
    result: nothing,
  },
} as const satisfies Record<string, { args: z.ZodType; result: z.ZodType }>;

export type CommandKind = keyof typeof commands;
export const COMMAND_KINDS = Object.keys(commands) as [CommandKind, ...CommandKind[]];

export type ArgsOf<K extends CommandKind> = z.infer<(typeof commands)[K]['args']>;
export type ResultOf<K extends CommandKind> = z.infer<(typeof commands)[K]['result']>;

/** A command of any kind with its own arguments: `kind` tells which. */
export type Command = { [K in CommandKind]: { readonly kind: K; readonly args: ArgsOf<K> } }[CommandKind];
export type CommandOf<K extends CommandKind> = Extract<Command, { kind: K }>;

/** How far a running command has come; words a person recognises. */
export const Stage = z.enum([
  'waiting',
  'preparing',
  'copying',
  'shuttingDown',
  'sendingLastChanges',
  'failingOver',
  'makingTestCopy',
  'checkingNetwork',
  'starting',
  'waitingForGuest',
  'waitingForCondition',
  'runningScript',
  'cleaningUp',
  'reversing',
]);
export type Stage = z.infer<typeof Stage>;
