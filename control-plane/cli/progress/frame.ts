/**
 * One picture of a running job that fits the window: the whole on top, then its groups, and under them the members that
 * matter now. When there is room every member has a line; when there is not, a group is its counts, and what failed comes before
 * what takes longest. Pure.
 */
import type { MemberStatus } from '../../../shared/api/jobs.ts';
import type { Colors } from '../output.ts';
import { cut, duration, plain } from '../output.ts';
import type { JobModel, ModelGroup, ModelMember } from './job-model.ts';
import { activityOf, jobTitle } from './words.ts';

export interface Window {
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  readonly colors: Colors;
  readonly isUnicode: boolean;
  /** Said at the bottom, such as a lost connection; empty for nothing. */
  readonly notice: string;
}

/** A line with its look; `text` is cut to the window before colour is added. */
interface Line {
  readonly text: string;
  readonly paint: (text: string) => string;
}

const asIs = (text: string) => text;
const settled: readonly MemberStatus[] = ['done', 'failed', 'undone', 'skipped', 'notNeeded', 'waitsForPerson'];
const troubled: readonly MemberStatus[] = ['waitsForPerson', 'failed', 'undone'];

export function frame(model: JobModel, window: Window): string[] {
  const room = Math.max(3, window.rows - 2);
  const head = headOf(model, window);
  const notice: Line[] = window.notice === '' ? [] : [{ text: window.notice, paint: window.colors.yellow }];
  const body = bodyOf(model, room - head.length - notice.length, window);
  const lines = [...head, ...body, ...notice].slice(0, room);
  return lines.map(({ text, paint }) => paint(cut(text, window.columns - 1)));
}

function headOf(model: JobModel, window: Window): Line[] {
  const { colors, columns, now } = window;
  const members = model.groups.flatMap((group) => group.members);
  const count = countOf(members);
  const steps = members.flatMap((member) => member.steps);
  const done = steps.filter(({ status }) => status !== 'waiting' && status !== 'running' && status !== 'undoing').length;
  const share = steps.length === 0 ? 0 : done / steps.length;
  const elapsed = duration(Math.floor((now - Date.parse(model.detail.startedAt)) / 1000));
  const facts = [`${count.done} of ${members.length}`, ...troubleWords(count), elapsed].join('  ');
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
  const width = Math.max(8, Math.min(40, columns - facts.length - percent.length - 6));
  return [
    { text: jobTitle(model.detail), paint: colors.bold },
    { text: `${bar(share, width, window)} ${percent}  ${facts}`, paint: count.trouble > 0 ? colors.yellow : colors.cyan },
  ];
}

function bodyOf(model: JobModel, room: number, window: Window): Line[] {
  const everything = model.groups.flatMap((group) => [
    groupLine(group, window),
    ...group.members.map((member) => memberLine(member, window)),
  ]);
  if (everything.length <= room) return everything;
  const groups = groupsThatFit(model.groups, Math.max(1, Math.floor(room / 2)));
  const lines = groups.map((group) => groupLine(group, window));
  const hidden = model.groups.length - groups.length;
  if (hidden > 0) lines.push({ text: `  and ${hidden} more groups`, paint: window.colors.dim });
  const left = room - lines.length;
  const worth = membersWorthALine(model.groups, window.now);
  const shown = worth.length <= left ? worth : worth.slice(0, Math.max(0, left - 1));
  lines.push(...shown.map((member) => memberLine(member, window)));
  if (shown.length < worth.length && left > 0)
    lines.push({ text: `    and ${worth.length - shown.length} more`, paint: window.colors.dim });
  return lines;
}

/** Those where something goes on first, in their order; then the others. */
function groupsThatFit(groups: readonly ModelGroup[], most: number): ModelGroup[] {
  if (groups.length <= most) return [...groups];
  const isLive = ({ members }: ModelGroup) => members.some(({ status }) => status === 'running' || troubled.includes(status));
  const chosen = new Set([...groups.filter(isLive), ...groups.filter((group) => !isLive(group))].slice(0, most));
  return groups.filter((group) => chosen.has(group));
}

/** What failed or waits for a person, then what has been running longest. */
function membersWorthALine(groups: readonly ModelGroup[], now: number): ModelMember[] {
  const members = groups.flatMap((group) => group.members);
  const taken = (member: ModelMember) => activityOf(member, now).seconds ?? 0;
  const running = members.filter(({ status }) => status === 'running').sort((a, b) => taken(b) - taken(a));
  return [...troubled.flatMap((status) => members.filter((member) => member.status === status)), ...running];
}

function groupLine(group: ModelGroup, window: Window): Line {
  const { colors } = window;
  const count = countOf(group.members);
  const size = group.members.length;
  const isOver = count.settled === size;
  const words = [
    count.done === size ? `${size} done` : `${count.done} of ${size} done`,
    ...(count.running > 0 ? [`${count.running} running`] : []),
    ...troubleWords(count),
  ];
  const name = plain(group.name).padEnd(Math.min(28, Math.floor(window.columns / 3)));
  const paint = count.trouble > 0 ? colors.yellow : isOver ? colors.green : count.running > 0 ? asIs : colors.dim;
  return { text: `  ${name} ${bar(size === 0 ? 1 : count.settled / size, 10, window)} ${words.join(', ')}`, paint };
}

function memberLine(member: ModelMember, { colors, now, columns, isUnicode }: Window): Line {
  const { words, seconds } = activityOf(member, now);
  const took = seconds === null ? '' : `  ${duration(seconds < 10 ? Math.floor(seconds * 10) / 10 : Math.floor(seconds))}`;
  const name = plain(member.name).padEnd(Math.min(24, Math.floor(columns / 3)));
  const marks = isUnicode
    ? { done: '✓', failed: '✗', undone: '↩', skipped: '-', notNeeded: '-', waitsForPerson: '!', running: '›', waiting: '·' }
    : { done: '+', failed: 'x', undone: '<', skipped: '-', notNeeded: '-', waitsForPerson: '!', running: '>', waiting: '.' };
  const paints: Record<MemberStatus, (text: string) => string> = {
    done: colors.green,
    failed: colors.red,
    undone: colors.yellow,
    skipped: colors.yellow,
    notNeeded: colors.dim,
    waitsForPerson: colors.red,
    running: asIs,
    waiting: colors.dim,
  };
  return { text: `    ${marks[member.status]} ${name} ${words}${took}`, paint: paints[member.status] };
}

interface Count {
  readonly done: number;
  readonly running: number;
  readonly failed: number;
  readonly person: number;
  readonly skipped: number;
  readonly notNeeded: number;
  readonly settled: number;
  readonly trouble: number;
}

export function countOf(members: readonly ModelMember[]): Count {
  const of = (...wanted: MemberStatus[]) => members.filter(({ status }) => wanted.includes(status)).length;
  return {
    done: of('done'),
    running: of('running'),
    failed: of('failed', 'undone'),
    person: of('waitsForPerson'),
    skipped: of('skipped'),
    notNeeded: of('notNeeded'),
    settled: of(...settled),
    trouble: of(...troubled),
  };
}

export function troubleWords({ failed, person, skipped, notNeeded }: Count): string[] {
  return [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(person > 0 ? [`${person} ${person === 1 ? 'waits' : 'wait'} for a person`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(notNeeded > 0 ? [`${notNeeded} not needed`] : []),
  ];
}

function bar(share: number, width: number, { isUnicode }: Window): string {
  const full = Math.floor(share * width);
  const [on, off] = isUnicode ? ['█', '░'] : ['#', '-'];
  return isUnicode ? on.repeat(full) + off.repeat(width - full) : `[${on.repeat(full)}${off.repeat(width - full)}]`;
}
