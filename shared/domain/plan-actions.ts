/**
 * Actions of a recovery plan: what is done beside moving VMs, before a group or a member is shut down, before it is started, and
 * after that. Each says in which kinds and directions of run it is a part, where, how long it may take, and what its failure means. Pure.
 */
import { z } from 'zod';
import { Name, nameUpTo } from '../names.ts';
import { type ActiveLocation, otherSide } from './protected-vm.ts';

/** What can be done with a plan that brings VMs up. */
export const RUN_KINDS = ['planned', 'unplanned', 'test', 'takeBack', 'changeRecoveryPoint'] as const;
export type RunKind = (typeof RUN_KINDS)[number];
/** An unplanned failover asks nothing of the site that it leaves, and a drill leaves none. */
const SHUT_DOWN_KINDS = ['planned', 'takeBack', 'changeRecoveryPoint'] as const satisfies readonly RunKind[];

export const ACTION_PLACES = ['beforeShutDown', 'before', 'after'] as const;
/** `before` and `after` are about the start. */
export type ActionPlace = (typeof ACTION_PLACES)[number];

/** At which site of their pairing VMs come up: a failover to the recovery site is taken back `toPrimary`. */
export const FailoverDirection = z.enum(['toRecovery', 'toPrimary']);
export type FailoverDirection = z.infer<typeof FailoverDirection>;

const LONGEST_SECONDS = 86_400;

const head = {
  name: Name.meta({ description: 'what it does, in words: progress and report show it' }),
  directions: z.array(FailoverDirection).min(1).default(['toRecovery', 'toPrimary']),
  delaySeconds: z.int().min(0).max(LONGEST_SECONDS).default(0).meta({ description: 'how long it waits from the moment it could begin' }),
  onFailure: z
    .enum(['stop', 'continue'])
    .default('stop')
    .meta({ description: 'stop: what comes after it does not start; continue: the plan goes on, and the job ends with failures' }),
};

const at = z
  .enum(['primary', 'recovery'])
  .optional()
  .meta({ description: 'site of the pairing whose agent does it; left out: where the VMs come up, or before a shut-down where they run' });

const withinSeconds = z.int().min(1).max(LONGEST_SECONDS).default(600).meta({ description: 'how long it may take' });

const Host = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9._:-]+$/, 'a host name or an address');

/** More VMs would not fit into the message that hands a script to its site. */
const SCRIPT_VMS_MOST = 1_000;

/** `Stop-Batch.ps1@<SHA-256 of its bytes>` */
const PinnedScript = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(ps1|sh)@[0-9a-f]{64}$/, "'name.ps1@' and the SHA-256 of the script, 64 hex digits");

/** Values for a script: they reach it as a part of its document, never as text of a command. */
export const ScriptParameters = z
  .record(z.string().regex(/^[a-z][A-Za-z0-9]{0,63}$/, 'a name such as `zone`'), z.union([z.string().max(1000), z.number(), z.boolean()]))
  .refine((all) => Object.keys(all).length <= 50, { error: 'has more than 50 values' });
export type ScriptParameters = z.infer<typeof ScriptParameters>;

/** Name and digest of a pinned script. */
export function splitPin(pinned: string): { readonly name: string; readonly sha256: string } {
  const at = pinned.lastIndexOf('@');
  return { name: pinned.slice(0, at), sha256: pinned.slice(at + 1) };
}

const scripted = {
  at,
  withinSeconds,
  script: PinnedScript.meta({ description: 'a script in the folder of the site, with its digest: `name.ps1@sha256`' }),
  parameters: ScriptParameters.optional(),
};

/** What each kind of action says of itself. */
const forms = {
  ask: {
    instruction: z.string().trim().min(1).max(2000).meta({ description: 'what a person is to do and then to confirm with a comment' }),
  },
  waitForTcp: { at, withinSeconds, host: Host, port: z.int().min(1).max(65_535) },
  waitForHttp: {
    at,
    withinSeconds,
    url: z
      .url({ protocol: /^https?$/ })
      .max(2000)
      .refine((text) => !hasCredentials(text), {
        error: 'carries a user name or a password',
        params: { allowed: 'an address that everybody may read' },
      }),
    status: z.int().min(100).max(599).default(200),
  },
  runScript: scripted,
  /** Another channel of replication than Hyper-V Replica, such as SQL Server Always On, is failed over by a script that knows it. */
  failOverChannel: {
    ...scripted,
    channel: Name.meta({ description: 'what fails over, by the name that its own world has for it: an availability group' }),
    primary: Name.meta({ description: 'who has it at the primary site: a SQL Server instance' }),
    recovery: Name.meta({ description: 'who has it at the recovery site' }),
  },
  waitForGuest: {
    withinSeconds,
    vm: nameUpTo(255).optional().meta({ description: 'a member of the plan, named as in `vm`; left out at a member: the member' }),
  },
};

function actionsIn<Kinds extends z.ZodType>(kinds: Kinds) {
  const common = { ...head, kinds };
  return z.discriminatedUnion('do', [
    z.strictObject({ do: z.literal('ask'), ...common, ...forms.ask }),
    z.strictObject({ do: z.literal('waitForTcp'), ...common, ...forms.waitForTcp }),
    z.strictObject({ do: z.literal('waitForHttp'), ...common, ...forms.waitForHttp }),
    z.strictObject({ do: z.literal('runScript'), ...common, ...forms.runScript }),
    z.strictObject({ do: z.literal('failOverChannel'), ...common, ...forms.failOverChannel }),
    z.strictObject({ do: z.literal('waitForGuest'), ...common, ...forms.waitForGuest }),
  ]);
}

const PlanAction = actionsIn(
  z
    .array(z.enum(RUN_KINDS))
    .min(1)
    .default(['planned', 'unplanned'])
    .meta({ description: 'in which kinds of run it is a part: a test, a take back or another recovery point only where they are named' }),
).meta({ id: 'PlanAction' });
export type PlanAction = z.infer<typeof PlanAction>;
const ShutDownAction = actionsIn(
  z
    .array(z.enum(SHUT_DOWN_KINDS))
    .min(1)
    .default(['planned'])
    .meta({ description: 'in which kinds of run it is a part: those that shut guests down' }),
).meta({ id: 'ShutDownAction' });

const MOST_ACTIONS = 100;

/** The lists of actions of a group and of a member. */
export const actionLists = {
  beforeShutDown: z.array(ShutDownAction).max(MOST_ACTIONS).optional().meta({
    description:
      'actions where the VMs run, before they go off: of groups before any VM does, the last group first; of a member before it does',
  }),
  before: z.array(PlanAction).max(MOST_ACTIONS).optional().meta({ description: 'actions before the start, one after the other' }),
  after: z.array(PlanAction).max(MOST_ACTIONS).optional().meta({ description: 'actions after all of it has started' }),
};

/** Actions as a plan has them, of all kinds and directions. */
export interface PlanActing {
  readonly beforeShutDown?: z.infer<typeof ShutDownAction>[] | undefined;
  readonly before?: PlanAction[] | undefined;
  readonly after?: PlanAction[] | undefined;
}

/** Its actions and nothing else. */
export const actingOf = ({ beforeShutDown, before, after }: PlanActing = {}): PlanActing => ({ beforeShutDown, before, after });

/** All of them, each with its place. */
export function actionsOf(acting: PlanActing): { readonly place: ActionPlace; readonly index: number; readonly action: PlanAction }[] {
  return ACTION_PLACES.flatMap((place) => (acting[place] ?? []).map((action, index) => ({ place, index, action })));
}

/** Whether it is a part of a run of this kind that goes this way. */
export function runsIn({ kinds, directions }: PlanAction, kind: RunKind, direction: FailoverDirection): boolean {
  return kinds.includes(kind) && directions.includes(direction);
}

/** Where VMs are when actions of this place run: before they go off, or where they come up. */
export function locationIn(kind: RunKind, direction: FailoverDirection, place: ActionPlace): ActiveLocation {
  const comesUp = direction === 'toRecovery' ? 'recovery' : 'primary';
  return place === 'beforeShutDown' && kind !== 'changeRecoveryPoint' ? otherSide(comesUp) : comesUp;
}

/** The sides of a pairing that may have to do it, over all its kinds and directions. */
export function locationsOf({ kinds, directions, ...action }: PlanAction, place: ActionPlace): ReadonlySet<ActiveLocation> {
  if ('at' in action && action.at !== undefined) return new Set([action.at]);
  return new Set(kinds.flatMap((kind) => directions.map((way) => locationIn(kind, way, place))));
}

/** What of a plan's groups matters here. */
type ActingGroups = readonly (PlanActing & { readonly members: readonly (PlanActing & { readonly vm: string })[] })[];

export interface ActionProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly allowed?: string;
}

/** What the form alone cannot tell; all at once, in the order of the document. */
export function actionProblems(groups: ActingGroups): ActionProblem[] {
  const names = new Set(groups.flatMap(({ members }) => members.map(({ vm }) => vm)));
  return groups.flatMap((group, g) => [
    ...ofList(group, ['groups', g], null, names),
    ...tooManyVms(group, g),
    ...group.members.flatMap((member, m) => ofList(member, ['groups', g, 'members', m], member.vm, names)),
  ]);
}

function ofList(acting: PlanActing, at: readonly (string | number)[], member: string | null, names: ReadonlySet<string>): ActionProblem[] {
  return actionsOf(acting).flatMap(({ place, index, action }) => {
    const path = [...at, place, index];
    return [...siteProblem(action, path), ...channelProblems(action, path), ...guestProblem(action, path, place, member, names)];
  });
}

/** How many sites the members of each group have on either side of their pairings. */
export type SiteCounts = readonly { readonly primary: number; readonly recovery: number }[];

/** Actions of groups that more than one site would have to do. */
export function severalSitesProblems(groups: ActingGroups, counts: SiteCounts): ActionProblem[] {
  return groups.flatMap((group, g) =>
    actionsOf(group).flatMap(({ place, index, action }) => {
      if (action.do === 'ask' || action.do === 'waitForGuest') return [];
      const most = Math.max(...[...locationsOf(action, place)].map((location) => counts[g]?.[location] ?? 0));
      return most > 1 ? [{ path: ['groups', g, place, index], ...severalSites(action.name, most) }] : [];
    }),
  );
}

export const severalSites = (name: string, sites: number): Pick<ActionProblem, 'message'> & { readonly allowed: string } => ({
  message: `'${name}' is for one site, and the members of the group have ${sites}`,
  allowed: 'the action at a member, a group for each site, or directions with one site',
});

/** The site that an unplanned failover leaves is asked for nothing: it may be dead. */
function siteProblem(action: PlanAction, path: readonly (string | number)[]): ActionProblem[] {
  if (!('at' in action) || action.at === undefined || !action.kinds.includes('unplanned')) return [];
  const leaves: FailoverDirection = action.at === 'primary' ? 'toRecovery' : 'toPrimary';
  if (!action.directions.includes(leaves)) return [];
  return [
    {
      path: [...path, 'at'],
      message: `an unplanned failover asks nothing of the site that it leaves, and ${leaves} that is the ${action.at} site`,
      allowed: `kinds without 'unplanned', directions without '${leaves}', or the other site`,
    },
  ];
}

function tooManyVms(group: ActingGroups[number], g: number): ActionProblem[] {
  if (group.members.length <= SCRIPT_VMS_MOST) return [];
  return actionsOf(group).flatMap(({ place, index, action }) =>
    'script' in action
      ? [
          {
            path: ['groups', g, place, index],
            message: `a script is told of the VMs of its group, and this group has ${group.members.length}`,
            allowed: `a group of at most ${SCRIPT_VMS_MOST} members`,
          },
        ]
      : [],
  );
}

/** A channel has no test copy, and no recovery points of ours. */
function channelProblems(action: PlanAction, path: readonly (string | number)[]): ActionProblem[] {
  if (action.do !== 'failOverChannel') return [];
  const why = {
    test: 'a drill does not fail a channel over: production is in it',
    changeRecoveryPoint: 'with another recovery point VMs stay at their site, and so does the channel',
  };
  return (['test', 'changeRecoveryPoint'] as const)
    .filter((kind) => action.kinds.includes(kind))
    .map((kind) => ({ path: [...path, 'kinds'], message: why[kind], allowed: 'planned, unplanned, takeBack' }));
}

function guestProblem(
  action: PlanAction,
  path: readonly (string | number)[],
  place: ActionPlace,
  member: string | null,
  names: ReadonlySet<string>,
): ActionProblem[] {
  if (action.do !== 'waitForGuest') return [];
  const vm = action.vm ?? member;
  if (vm === null) return [{ path: [...path, 'vm'], message: 'is missing', allowed: 'a member of this plan, named as in its `vm`' }];
  if (!names.has(vm))
    return [{ path: [...path, 'vm'], message: `no member of this plan is called '${vm}'`, allowed: 'a member, named as in its `vm`' }];
  if (place === 'before' && vm === member)
    return [{ path, message: `'${vm}' cannot answer before it is started`, allowed: 'after the member, or another member' }];
  return [];
}

function hasCredentials(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.username !== '' || url.password !== '');
}
