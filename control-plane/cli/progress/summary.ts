/** What is said when the watching of a job has ended: how it ended, what failed and why, and what can be done next. */
import { isMeasured, type JobDetailAnswer, type StepAnswer } from '../../../shared/api/jobs.ts';
import { errorCodes } from '../../../shared/errors.ts';
import { duration, moment, type Output, plain } from '../output.ts';
import { countOf, troubleWords } from './frame.ts';
import { JobModel, type ModelMember } from './job-model.ts';
import { approvalText, awaitedText, jobTitle, stateWords } from './words.ts';

const MOST_FAILURES = 20;
const MOST_GROUPS = 12;

export function summaryOf(detail: JobDetailAnswer, { colors }: Output): string {
  const { groups } = new JobModel(detail);
  const members = groups.flatMap((group) => group.members);
  const wordsOf = (some: readonly ModelMember[]) => {
    const count = countOf(some);
    return [`${count.done} of ${some.length} done`, ...troubleWords(count)].join(', ');
  };
  const perGroup =
    groups.length > 1 && groups.length <= MOST_GROUPS ? groups.map((group) => `    ${plain(group.name)}: ${wordsOf(group.members)}`) : [];
  const paint = detail.state === 'succeeded' ? colors.green : detail.state === 'inProgress' ? colors.cyan : colors.yellow;
  const took = detail.endedAt === null ? '' : ` in ${duration((Date.parse(detail.endedAt) - Date.parse(detail.startedAt)) / 1000)}`;
  const lines = [
    `${paint(colors.bold(`${jobTitle(detail)}: ${stateWords[detail.state]}`))}${took}`,
    `  ${wordsOf(members)}`,
    ...perGroup,
    ...(detail.approval?.state === 'emergency' ? [`  ${colors.yellow(approvalText(detail.approval))}`] : []),
    ...cancelledLines(detail),
    ...byRuleLines(detail),
    ...detail.leftOut.map(({ name, reason }) => `  ${plain(name)} was left out: ${plain(reason)}`),
    ...heldLines(detail, colors),
    ...awaitedLines(detail, colors),
    ...failuresOf(detail, colors),
  ];
  if (detail.takesItselfBackAt !== null)
    lines.push(`  ${colors.yellow(`takes itself back at ${moment(detail.takesItselfBackAt)} unless it is committed`)}`);
  lines.push(...askedLines(detail), ...decisionLines(detail));
  if (detail.endedAt !== null && isMeasured(detail.kind)) lines.push(`  farshore report ${detail.id}`);
  if (detail.endedAt !== null && detail.kind === 'testFailover' && hasDone(members)) lines.push(...cleanUpLines(detail.id));
  return lines.join('\n');
}

function cancelledLines({ cancelled, endedAt }: JobDetailAnswer): string[] {
  if (cancelled === null) return [];
  const goesOn = endedAt === null ? '; what is past the point of no return goes on all the same' : '';
  return [`  ${plain(cancelled.by)} cancelled it ${moment(cancelled.at)}: ${plain(cancelled.reason)}${goesOn}`];
}

/** How a job stands that was cancelled just now. */
export function afterCancel(detail: JobDetailAnswer): string {
  const { id, state } = detail;
  const watch = `watch it with: farshore jobs show ${id} --follow`;
  if (state === 'cancelled') return `cancelled; see what was undone with: farshore jobs show ${id}`;
  if (state === 'inProgress') return `being cancelled: what is not past the point of no return is undone, the rest goes on; ${watch}`;
  if (state !== 'parked' && state !== 'waiting') return `nothing was left to cancel: the job ${stateWords[state]}`;
  const waits = 'not cancelled as a whole: what waits for a person is past the point of no return, or could not be undone, and still waits';
  return [waits, ...askedLines(detail), ...decisionLines(detail)].join('\n');
}

const hasDone = (members: readonly ModelMember[]): boolean => members.some(({ status }) => status === 'done');

/** Nothing else ends a drill. */
function cleanUpLines(id: string): string[] {
  return ['', 'The test copies run until the drill is cleaned up:', `  farshore drills clean-up ${id} --outcome passed --notes "..."`];
}

function byRuleLines({ byRule }: JobDetailAnswer): string[] {
  if (byRule === null) return [];
  const reasons = [...new Set(byRule.vms.map(({ why }) => plain(why)))];
  return [`  wanted by the rule ${plain(byRule.match)} (${byRule.rule.slice(0, 8)}): ${reasons.join('; ')}`];
}

function heldLines({ id, held }: JobDetailAnswer, colors: Output['colors']): string[] {
  if (held === null) return [];
  return [
    `  ${colors.red(`held since ${moment(held.since)} because of ${held.sites.map(plain).join(', ')}: ${held.code}`)}`,
    `    cause:  ${held.cause}`,
    `    remedy: ${held.remedy}`,
    `    go on:  farshore jobs resume ${id} --reason "..."`,
    `    end it: farshore jobs cancel ${id} --reason "..."`,
  ];
}

function awaitedLines(detail: JobDetailAnswer, colors: Output['colors']): string[] {
  const text = awaitedText(detail);
  if (text === '') return [];
  const isOverdue = detail.awaitedAgents.some(({ overdueSteps }) => overdueSteps > 0);
  const { cause, remedy } = errorCodes[isOverdue ? 'ERR_COMMAND_OVERDUE' : 'ERR_AGENT_OFFLINE'];
  const giveUp = detail.awaitedAgents.map(
    ({ site }) => `    if it will not come back: farshore jobs give-up ${detail.id} --site ${shellWord(site)} --reason "..."`,
  );
  return [`  ${colors.red(text)}`, `    cause:  ${cause}`, `    remedy: ${remedy}`, ...giveUp];
}

/** What the plan asks of a person, and how to say that it is done. */
function askedLines({ id, groups }: JobDetailAnswer): string[] {
  const asked = groups.flatMap(({ members }) =>
    members.flatMap(({ name, steps }) => steps.filter(isAsked).map(({ instruction }) => ({ name, instruction: instruction ?? '' }))),
  );
  return asked.flatMap(({ name, instruction }) => [
    '',
    `The plan asks you: ${plain(instruction)}`,
    `  farshore jobs confirm ${id} ${shellWord(name)} --comment "..."`,
  ]);
}

const isAsked = ({ waitsForPerson, instruction }: StepAnswer): boolean => waitsForPerson && instruction !== null;

function decisionLines({ id, groups }: JobDetailAnswer): string[] {
  const [first, ...others] = groups
    .flatMap(({ members }) => members)
    .filter(({ steps }) => steps.some((step) => step.waitsForPerson && !isAsked(step)));
  if (first === undefined) return [];
  const name = shellWord(first.name);
  return [
    '',
    'Decide what waits, when the cause is mended or the work is done by hand:',
    `  farshore jobs retry ${id} ${name} --reason "..."`,
    ...(others.length > 0 ? [`  farshore jobs retry ${id} --all --reason "..."      # all ${others.length + 1}`] : []),
    `  farshore jobs skip ${id} ${name} --reason "..."`,
  ];
}

/** As bash and PowerShell both take it. */
function shellWord(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${plain(name).replaceAll("'", '')}'`;
}

/** A line for each step that failed, then cause and remedy once for each code: fifty VMs may fail for one reason. */
function failuresOf(detail: JobDetailAnswer, colors: Output['colors']): string[] {
  const faulty = detail.groups.flatMap(({ members }) =>
    members.flatMap(({ name, status, steps }) =>
      status === 'done' ? [] : steps.filter(({ error }) => error !== null).map((step) => ({ name, step })),
    ),
  );
  const told = faulty.slice(0, MOST_FAILURES);
  const lines = told.flatMap(({ name, step }) => {
    if (step.error === null) return [];
    const { code, logRef, exitCode } = step.error;
    const exit = exitCode === undefined ? '' : ` (exit code ${exitCode})`;
    const waits = step.waitsForPerson ? ', waits for a person' : '';
    return [
      `  ${colors.red(plain(name))}${name.endsWith(step.title) ? '' : `  ${plain(step.title)}`}: ${code}${exit}${waits}${logRef === '' ? '' : ` (agent log ${logRef})`}`,
    ];
  });
  if (faulty.length > MOST_FAILURES) lines.push(`  and ${faulty.length - MOST_FAILURES} more; see farshore jobs show ${detail.id}`);
  const causes = new Map(told.flatMap(({ step: { error } }) => (error === null ? [] : [[error.code, error]])));
  for (const { code, cause, remedy } of causes.values()) lines.push(`  ${code}`, `    cause:  ${cause}`, `    remedy: ${remedy}`);
  return lines;
}
