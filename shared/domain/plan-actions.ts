/**
 * Actions of a recovery plan: what is done before or after a group or a member beside moving VMs. Each says in which kinds and
 * directions of failover it runs, where, how long it may take, and what its failure means. Pure.
 */
import { z } from 'zod';

const Name = z.string().trim().min(1).max(100);

export const FailoverKind = z.enum(['planned', 'unplanned', 'test']);
export type FailoverKind = z.infer<typeof FailoverKind>;

/** To which site of their pairing VMs go. */
export const FailoverDirection = z.enum(['toRecovery', 'toPrimary']);
export type FailoverDirection = z.infer<typeof FailoverDirection>;

const LONGEST_SECONDS = 86_400;

const common = {
  name: Name.meta({ description: 'what it does, in words: progress and report show it' }),
  kinds: z
    .array(FailoverKind)
    .min(1)
    .default(['planned', 'unplanned'])
    .meta({ description: 'in which kinds of failover it runs; a test only where it is named' }),
  directions: z.array(FailoverDirection).min(1).default(['toRecovery', 'toPrimary']),
  delaySeconds: z.int().min(0).max(LONGEST_SECONDS).default(0).meta({ description: 'how long it waits from the moment it could begin' }),
  onFailure: z
    .enum(['stop', 'continue'])
    .default('stop')
    .meta({ description: 'stop: what comes after it does not start; continue: the plan goes on, and the job ends with failures' }),
};

const where = {
  at: z
    .enum(['primary', 'recovery'])
    .optional()
    .meta({ description: 'site of the pairing whose agent does it; left out: the site where the VMs come up' }),
};

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

export const PlanAction = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('ask'),
    ...common,
    instruction: z.string().trim().min(1).max(2000).meta({ description: 'what a person is to do and then to confirm with a comment' }),
  }),
  z.strictObject({ do: z.literal('waitForTcp'), ...common, ...where, withinSeconds, host: Host, port: z.int().min(1).max(65_535) }),
  z.strictObject({
    do: z.literal('waitForHttp'),
    ...common,
    ...where,
    withinSeconds,
    url: z
      .url({ protocol: /^https?$/ })
      .max(2000)
      .refine((text) => !hasCredentials(text), { error: 'carries a user name or a password' }),
    status: z.int().min(100).max(599).default(200),
  }),
  z.strictObject({
    do: z.literal('runScript'),
    ...common,
    ...where,
    withinSeconds,
    script: PinnedScript.meta({ description: 'a script in the folder of the site, with its digest: `name.ps1@sha256`' }),
    parameters: ScriptParameters.optional(),
  }),
  /** Another channel of replication than Hyper-V Replica, such as SQL Server Always On, is failed over by a script that knows it. */
  z.strictObject({
    do: z.literal('failOverChannel'),
    ...common,
    ...where,
    withinSeconds,
    channel: Name.meta({ description: 'what fails over, by the name that its own world has for it: an availability group' }),
    primary: Name.meta({ description: 'who has it at the primary site: a SQL Server instance' }),
    recovery: Name.meta({ description: 'who has it at the recovery site' }),
    script: PinnedScript,
    parameters: ScriptParameters.optional(),
  }),
  z.strictObject({
    do: z.literal('waitForGuest'),
    ...common,
    withinSeconds,
    vm: z
      .string()
      .trim()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: 'a member of the plan, named as in `vm`; left out at a member: the member' }),
  }),
]);
export type PlanAction = z.infer<typeof PlanAction>;

export const PlanActions = z.array(PlanAction).max(100);

/** Whether it is a part of a failover of this kind that goes this way. */
export function runsIn({ kinds, directions }: PlanAction, kind: FailoverKind, direction: FailoverDirection): boolean {
  return kinds.includes(kind) && directions.includes(direction);
}

/** What of a plan's groups matters here. */
type ActingGroups = readonly (Acting & { readonly members: readonly (Acting & { readonly vm: string })[] })[];
interface Acting {
  readonly before?: readonly PlanAction[] | undefined;
  readonly after?: readonly PlanAction[] | undefined;
}

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

function ofList(acting: Acting, at: readonly (string | number)[], member: string | null, names: ReadonlySet<string>): ActionProblem[] {
  return (['before', 'after'] as const).flatMap((when) =>
    (acting[when] ?? []).flatMap((action, index) => {
      const path = [...at, when, index];
      return [...siteProblem(action, path), ...drillProblem(action, path), ...guestProblem(action, path, when, member, names)];
    }),
  );
}

/** How many sites the members of each group have on either side of their pairings. */
export type SiteCounts = readonly { readonly primary: number; readonly recovery: number }[];

/** Actions of groups that more than one site would have to do. */
export function severalSitesProblems(groups: ActingGroups, counts: SiteCounts): ActionProblem[] {
  return groups.flatMap((group, g) =>
    (['before', 'after'] as const).flatMap((when) =>
      (group[when] ?? []).flatMap((action, index) => {
        const { primary = 0, recovery = 0 } = counts[g] ?? {};
        if (action.do === 'ask' || action.do === 'waitForGuest') return [];
        const { at } = action;
        const most =
          at === undefined
            ? Math.max(...action.directions.map((way) => (way === 'toRecovery' ? recovery : primary)))
            : { primary, recovery }[at];
        return most > 1 ? [{ path: ['groups', g, when, index], ...severalSites(action.name, most) }] : [];
      }),
    ),
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
  return (['before', 'after'] as const).flatMap((when) =>
    (group[when] ?? []).flatMap((action, index) =>
      'script' in action
        ? [
            {
              path: ['groups', g, when, index],
              message: `a script is told of the VMs of its group, and this group has ${group.members.length}`,
              allowed: `a group of at most ${SCRIPT_VMS_MOST} members`,
            },
          ]
        : [],
    ),
  );
}

/** A channel has no test copy: production is in it. */
function drillProblem(action: PlanAction, path: readonly (string | number)[]): ActionProblem[] {
  if (action.do !== 'failOverChannel' || !action.kinds.includes('test')) return [];
  return [
    { path: [...path, 'kinds'], message: 'a drill does not fail a channel over: production is in it', allowed: 'planned, unplanned' },
  ];
}

function guestProblem(
  action: PlanAction,
  path: readonly (string | number)[],
  when: 'before' | 'after',
  member: string | null,
  names: ReadonlySet<string>,
): ActionProblem[] {
  if (action.do !== 'waitForGuest') return [];
  const vm = action.vm ?? member;
  if (vm === null) return [{ path: [...path, 'vm'], message: 'is missing', allowed: 'a member of this plan, named as in its `vm`' }];
  if (!names.has(vm))
    return [{ path: [...path, 'vm'], message: `no member of this plan is called '${vm}'`, allowed: 'a member, named as in its `vm`' }];
  if (when === 'before' && vm === member)
    return [{ path, message: `'${vm}' cannot answer before it is started`, allowed: 'after the member, or another member' }];
  return [];
}

function hasCredentials(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.username !== '' || url.password !== '');
}
