/** A plan as a tree: its groups in the order of their start, in each its actions and members, and what is to be known of each. */
import type { ResolvedPlanAnswer } from '../../shared/api/plans.ts';
import { type ActionPlace, actionsOf, type PlanActing, type PlanAction, splitPin } from '../../shared/domain/plan-actions.ts';
import { type Colors, duration, plain, widthOf, wrap } from './output.ts';
import { phaseWords } from './progress/words.ts';

export const placeWords: Record<ActionPlace, string> = {
  beforeShutDown: 'before the shut-down',
  before: 'before the start',
  after: 'after the start',
};

/** It fits terminals, mails and change requests alike. */
const COLUMNS = 100;

interface Node {
  readonly name: string;
  /** Behind the name where there is room, else below it. */
  readonly about: string;
  readonly under: readonly Node[];
}

type Group = ResolvedPlanAnswer['groups'][number];
type Member = Group['members'][number];

export function planPicture(plan: ResolvedPlanAnswer, colors: Colors): string {
  const names = new Map(plan.groups.flatMap(({ members }) => members.map(({ vm, name }) => [vm as string, plain(name)])));
  const groups = plan.groups.map((group, index) => groupNode(group, index, names));
  const problems = plan.problems.flatMap(({ field, message }) => wrap(`${field ?? ''}  ${plain(message)}`, COLUMNS - 2));
  const [title = '', ...more] = wrap(`${plain(plan.name)}  version ${plan.version}`, COLUMNS);
  return [
    colors.bold(title),
    ...more,
    ...[plain(plan.description), ...settingsOf(plan)].flatMap((text) => (text === '' ? [] : wrap(text, COLUMNS))),
    ...groups.flatMap((group) => ['', ...linesOf(group, '', '', colors)]),
    ...(problems.length > 0 ? ['', 'Members that mean no VM now:', ...problems.map((line) => `  ${line}`)] : []),
  ].join('\n');
}

/** `5 min`, not `5 min 00 s`: a limit that somebody wrote. */
const limit = (seconds: number): string => duration(seconds).replace(/ 00 (s|min)$/, '');

function settingsOf({ commitWithinMinutes, startsPerHost, drill }: ResolvedPlanAnswer): string[] {
  return [
    ...(commitWithinMinutes === null
      ? []
      : [`A failover takes itself back unless it is committed within ${limit(commitWithinMinutes * 60)}.`]),
    ...(startsPerHost === null ? [] : [`At most ${startsPerHost} of its VMs start at once on a host.`]),
    ...(drill === null ? [] : [drillText(drill)]),
  ];
}

function drillText({ everyDays, at, standsMinutes, networks, makeNetworksLike }: NonNullable<ResolvedPlanAnswer['drill']>): string {
  const when = `every ${everyDays === 1 ? 'day' : `${everyDays} days`}${at === undefined ? '' : ` at ${at} UTC`}`;
  const where = networks ?? makeNetworksLike?.map((like) => `a network like ${like}`) ?? ['no network'];
  const until = standsMinutes === 0 ? 'at once' : `after ${limit(standsMinutes * 60)}`;
  return `It is drilled by itself ${when}, on ${where.map(plain).join(', ')}; the test copies are cleaned up ${until}.`;
}

function groupNode(group: Group, index: number, names: ReadonlyMap<string, string>): Node {
  const actions = actionNodes(group);
  const members = group.members.map((member) => memberNode(member, names));
  const nobody = members.length === 0 ? [{ name: '(no member of it is protected)', about: '', under: [] }] : [];
  return {
    name: `${index + 1} ${plain(group.name)}`,
    about: '',
    under: [...actions.first, ...members, ...nobody, ...actions.last],
  };
}

function memberNode(member: Member, names: ReadonlyMap<string, string>): Node {
  const others = member.dependsOn.map((vm) => names.get(vm) ?? vm).join(', ');
  const seconds = member.guestAnswersWithinSeconds;
  const actions = actionNodes(member);
  return {
    name: plain(member.name),
    about: [
      phaseWords[member.phase],
      ...(others === '' ? [] : [`starts after ${others}`]),
      ...(seconds === 0 ? [] : [`its guest answers within ${limit(seconds)}`]),
    ].join('; '),
    under: [...actions.first, ...actions.last],
  };
}

function actionNodes(acting: PlanActing): { readonly first: readonly Node[]; readonly last: readonly Node[] } {
  const nodes = actionsOf(acting).map(({ place, action }) => ({ place, node: actionNode(action, place) }));
  const of = (isLast: boolean) => nodes.filter(({ place }) => (place === 'after') === isLast).map(({ node }) => node);
  return { first: of(false), last: of(true) };
}

function actionNode(action: PlanAction, place: ActionPlace): Node {
  const later = action.delaySeconds === 0 ? '' : `, ${limit(action.delaySeconds)} later`;
  const where = 'at' in action && action.at !== undefined ? `, at the ${action.at} site` : '';
  const [only, ...others] = action.directions;
  const way = others.length > 0 ? '' : only === 'toRecovery' ? ', to the recovery site' : ', to the primary site';
  return {
    name: `${placeWords[place]}: ${plain(action.name)}`,
    about: [
      `${plain(deedOf(action))}${where}${later}`,
      `runs in: ${action.kinds.map((kind) => kindWords[kind]).join(', ')}${way}`,
      'withinSeconds' in action ? `within ${limit(action.withinSeconds)}` : 'until it is confirmed',
      `if it fails the plan ${action.onFailure === 'stop' ? 'stops' : 'goes on'}`,
    ].join('; '),
    under: [],
  };
}

const kindWords: Record<PlanAction['kinds'][number], string> = {
  planned: 'planned',
  unplanned: 'unplanned',
  test: 'test',
  takeBack: 'take back',
  changeRecoveryPoint: 'other recovery point',
};

function deedOf(action: PlanAction): string {
  switch (action.do) {
    case 'ask':
      return `a person: ${action.instruction}`;
    case 'waitForTcp':
      return `waits for ${action.host}:${action.port}`;
    case 'waitForHttp':
      return `waits for ${action.status} from ${action.url}`;
    case 'waitForGuest':
      return `waits for the guest${action.vm === undefined ? '' : ` of ${action.vm}`}`;
    case 'runScript':
      return `runs ${splitPin(action.script).name}`;
    case 'failOverChannel':
      return `fails ${action.channel} over: ${splitPin(action.script).name}`;
  }
}

/** `stem` is drawn before its first line, `below` before the others. */
function linesOf({ name, about, under }: Node, stem: string, below: string, colors: Colors): string[] {
  const room = COLUMNS - widthOf(below);
  const whole = about === '' ? name : `${name}  ${about}`;
  const inner = `${below}${under.length > 0 ? '│' : ' '}    `;
  const isShort = widthOf(whole) <= room;
  const [first = '', ...others] = isShort ? [whole] : wrap(name, room);
  const told = [...others, ...(isShort ? [] : wrap(about, COLUMNS - widthOf(inner)))];
  return [
    `${stem}${first}`,
    ...told.map((line) => `${inner}${colors.dim(line)}`),
    ...under.flatMap((node, index) => {
      const isLast = index === under.length - 1;
      return linesOf(node, `${below}${isLast ? '└─ ' : '├─ '}`, `${below}${isLast ? '   ' : '│  '}`, colors);
    }),
  ];
}
