/** What the module answers, checked, and what it means in the words of the port. */
import { z } from 'zod';
import { CommandId, VmId } from '../../../shared/ids.ts';
import type { PowerState, RecoveryPoint, ReplicationHealth, ReplicationMode, ReplicationState, VmView } from '../fabric.ts';
import type { HyperVCloud } from './hyperv-config.ts';

const lowerFirst = (text: string) => `${text.charAt(0).toLowerCase()}${text.slice(1)}`;

const states = [
  'disabled',
  'readyForInitialReplication',
  'initialReplicationInProgress',
  'waitingForInitialReplication',
  'replicating',
  'preparedForFailover',
  'failedOverWaitingCompletion',
  'failedOver',
  'suspended',
  'waitingForStartResynchronize',
  'resynchronizing',
] as const satisfies readonly ReplicationState[];

/** States that the port does not know are an error for it: nothing may be begun in them. */
const State = z.string().transform((text): ReplicationState => {
  const name = lowerFirst(text);
  return states.find((state) => state === name) ?? (name === 'resynchronizeSuspended' ? 'suspended' : 'error');
});

const modes: Readonly<Record<string, ReplicationMode>> = {
  None: 'none',
  Primary: 'primary',
  Replica: 'replica',
  ExtendedReplica: 'replica',
  TestReplica: 'testReplica',
};

const Health = z.enum(['NotApplicable', 'Normal', 'Warning', 'Critical']).transform((text) => lowerFirst(text) as ReplicationHealth);

const powers: Readonly<Record<string, PowerState>> = {
  Running: 'running',
  Off: 'off',
  Starting: 'starting',
  Resuming: 'starting',
  Reset: 'starting',
  ForceReboot: 'starting',
  Stopping: 'stopping',
  ForceShutdown: 'stopping',
  Saving: 'stopping',
  FastSaving: 'stopping',
  Pausing: 'paused',
  Paused: 'paused',
  Saved: 'saved',
  FastSaved: 'saved',
  Hibernated: 'saved',
};
/** `OffCritical` and its like, and what nobody has named yet. */
const Power = z.string().transform((text): PowerState => powers[text] ?? 'critical');

const Moment = z.int().nullable();

const Count = z.int().min(0);
const Measure = z.object({
  since: Moment,
  cycles: Count,
  missed: Count,
  errors: Count,
  averageBytes: Count,
  maximumBytes: Count,
  pendingBytes: Count,
  averageLatencyMs: Count.nullable(),
  maximumLatencyMs: Count.nullable(),
});

/** Stamps between blanks. */
export const Stamps = z.string().transform((text): ReadonlySet<string> => new Set(text.split(' ')));

/** How a VM replicates. */
const replicates = {
  /** Of all that is told of it but the measure. Both are there where a host tells what differs. */
  stamp: z.string(),
  measure: Measure.nullable(),
  mode: z.string().transform((text, context): ReplicationMode => {
    const mode = modes[text];
    if (mode === undefined) context.addIssue({ code: 'custom', message: `there is no replication mode ${text}` });
    return mode ?? 'none';
  }),
  state: State,
  health: Health,
  replication: z
    .object({
      copyFrequencySeconds: z.int(),
      recoveryHistory: z.int(),
      vssHours: z.int().nullable(),
      compression: z.boolean(),
      authentication: z.enum(['Certificate', 'Kerberos']),
      lastReplicationAt: Moment,
      firstCopyAt: Moment,
      failoverType: z.string(),
    })
    .nullable(),
};
export const replicationTold = z.object({ id: VmId, ...replicates });

const Machine = z.object({
  id: VmId,
  name: z.string(),
  host: z.string(),
  power: Power,
  ...replicates,
  /** The network of each adapter in the words of the module, a switch or a VM network; empty where it is not connected. */
  switches: z.array(z.string()),
  /** The addresses of each adapter, as far as its guest tells. */
  addresses: z.array(z.array(z.string())),
  /** The VM groups that it is in, in SCVMM its tag. */
  tags: z.array(z.string()),
  /** `key=value` */
  notes: z.array(z.string()),
});
export type Machine = z.infer<typeof Machine>;

const Point = z.object({ id: z.string(), at: z.int(), kind: z.enum(['crashConsistent', 'applicationConsistent']) });
const SwitchType = z.enum(['Private', 'Internal', 'External']);

export const answers = {
  /** Whatever a cmdlet let slip: a change is judged by the look after it. */
  nothing: z.unknown(),
  machine: Machine.nullable(),
  inventory: z.object({ switches: z.array(z.object({ name: z.string(), type: SwitchType })), vms: z.array(Machine), gone: Stamps }),
  points: z.object({ points: z.array(Point) }),
  switches: z.object({ switches: z.array(z.object({ name: z.string(), type: SwitchType, vms: z.int(), copies: z.int() })) }),
  copy: z.object({ id: VmId, name: z.string(), power: Power, switches: z.array(z.string()), recoveryPoint: Point }).nullable(),
  guest: z.boolean(),
  addresses: z.object({ addresses: z.array(z.string()) }),
};

/** What Farshore wrote under that key into the notes of the VM. */
export function noteOf({ notes }: Machine, key: string): string | null {
  return notes.find((note) => note.startsWith(`${key}=`))?.slice(key.length + 1) ?? null;
}

export const connectedIn = (switches: readonly string[]): string[] => [...new Set(switches.filter((name) => name !== ''))];

export function viewOf(
  machine: Machine,
  { id: cloudId }: Pick<HyperVCloud, 'id'>,
  networkId: (name: string) => VmView['networkIds'][number],
): VmView {
  const { replication, mode, state, health, measure } = machine;
  return {
    ref: { cloudId, vmId: machine.id },
    name: machine.name,
    power: machine.power,
    networkIds: connectedIn(machine.switches).map(networkId),
    replication: {
      mode,
      state,
      health,
      failoverType: failoverTypeOf(machine),
      lastPointAt: replication?.lastReplicationAt ?? null,
      ...firstCopyMoment(machine),
      settings: replication && {
        copyFrequencySeconds: replication.copyFrequencySeconds,
        additionalRecoveryPoints: replication.recoveryHistory,
        applicationConsistentHours: replication.vssHours,
        compression: replication.compression,
        authentication: replication.authentication === 'Certificate' ? 'certificate' : 'kerberos',
      },
      ...(measure !== null && { measure }),
    },
    epoch: Number(noteOf(machine, `epoch/${cloudId}`) ?? 0),
    failover: failoverNoteOf(machine),
    tags: machine.tags,
  };
}

/** Hyper-V may keep the moment after the copy has begun. */
function firstCopyMoment({ state, replication }: Machine): { readonly firstCopyAt?: number } {
  const at = replication?.firstCopyAt ?? null;
  return state === 'readyForInitialReplication' && at !== null ? { firstCopyAt: at } : {};
}

export const isFailedOver = ({ mode, state }: Machine) =>
  mode === 'replica' && (state === 'failedOver' || state === 'failedOverWaitingCompletion');

/** As the module wrote it before the failover; one that was made by hand has none. */
function failoverNoteOf(machine: Machine): VmView['failover'] {
  const [id = '', at, kind, ...command] = noteOf(machine, 'failover')?.split('|') ?? [];
  const read = z.object({ commandId: CommandId, recoveryPoint: Point }).safeParse({
    commandId: command.join('|'),
    recoveryPoint: { id, at: Number(at), kind },
  });
  return isFailedOver(machine) && read.success ? read.data : null;
}

/** One of which Hyper-V does not say that it was planned was not: roles must not be swapped then. */
function failoverTypeOf(machine: Machine): VmView['replication']['failoverType'] {
  if (!isFailedOver(machine)) return 'none';
  return machine.replication?.failoverType === 'Planned' ? 'planned' : 'unplanned';
}

export const newestFirst = (points: readonly RecoveryPoint[]): RecoveryPoint[] => points.toSorted((a, b) => b.at - a.at);
