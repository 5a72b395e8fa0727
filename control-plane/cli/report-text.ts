/** The report of a job for a terminal. */
import { isMeasured } from '../../shared/api/jobs.ts';
import type { ReportAnswer, TimeSplit, VmReportAnswer } from '../../shared/api/report.ts';
import type { ActionPlace } from '../../shared/domain/plan-actions.ts';
import { duration, moment, type Output, plain, table } from './output.ts';
import { approvalText, jobTitle, stateWords } from './progress/words.ts';

export function reportText(report: ReportAnswer, output: Output): string {
  const { job, total } = report;
  const { colors } = output;
  const hasMoved = isMeasured(job.kind);
  const run = job.kind === 'testFailover' ? 'test copies ran' : 'VMs run at the other site';
  const facts: [string, string][] = [
    ['Result', `${stateWords[job.state]}: ${total.succeeded} of ${total.vms} ${hasMoved ? run : 'done'}${troubles(report)}`],
    ['Started', `${moment(job.startedAt)} by ${plain(job.startedBy)}`],
    ...(report.plan ? [['Plan', `${plain(report.plan.name)}, version ${report.plan.version}`] as [string, string]] : []),
    ...(report.approval ? [['Approval', approvalText(report.approval)] as [string, string]] : []),
    ...(report.primary
      ? [['Evidence', `primary site ${report.primary.evidence}: ${plain(report.primary.reason)}`] as [string, string]]
      : []),
    ...(report.outageAt ? [['Outage', `${moment(report.outageAt)}, when the primary site was last heard`] as [string, string]] : []),
    ...(hasMoved ? failoverFacts(report) : []),
    ...(total.split ? [['Time went to', splitText(total.split)] as [string, string]] : []),
  ];
  const lines = [colors.bold(`Report: ${jobTitle(job)}`), ...facts.map(([name, words]) => `  ${colors.dim(name.padEnd(13))} ${words}`), ''];
  lines.push(hasMoved ? failoverTable(report.vms, output) : plainTable(report.vms, output));
  for (const vm of report.vms) lines.push(...failureLines(vm, output));
  if (report.actions.length > 0) lines.push('', ...actionLines(report, output));
  if (report.leftOut.length > 0)
    lines.push('', 'Left out:', ...report.leftOut.map(({ name, reason }) => `  ${plain(name)}: ${plain(reason)}`));
  if (report.decisions.length > 0)
    lines.push(
      '',
      'Decisions:',
      ...report.decisions.map(
        (one) =>
          `  ${moment(one.at)}  ${plain(one.by)} ${decisionWords[one.what]} ${plain(one.title ?? one.step ?? 'the job')}: ${plain(one.reason)}`,
      ),
    );
  lines.push('', colors.dim(`Computed from the ${report.facts.count} facts of job ${job.id}.`));
  return lines.join('\n');
}

const decisionWords: Record<ReportAnswer['decisions'][number]['what'], string> = {
  retry: 'tried again:',
  skip: 'skipped:',
  confirm: 'confirmed:',
  cancel: 'cancelled',
  giveUp: 'gave a site up for',
  resume: 'let go on',
};

function failoverFacts({ job, total, rpoFrom }: ReportAnswer): [string, string][] {
  const what = job.kind === 'testFailover' ? 'drill' : 'failover';
  const outage = total.outageSeconds === null ? '' : `; out of service for ${duration(total.outageSeconds)}`;
  // Times are of those that run; the others have none yet, or never.
  const of = total.succeeded < total.vms ? `, for the ${total.succeeded} of ${total.vms} that run` : '';
  const from = {
    outage: 'of data before the outage',
    start: `of data before the ${what} was started`,
    shutdown: 'of data before the guest was off',
  }[rpoFrom ?? 'start'];
  return [
    ['Actual RTO', total.rtoSeconds === null ? '-' : `${duration(total.rtoSeconds)} from the start of the ${what}${outage}${of}`],
    ['Actual RPO', total.rpoSeconds === null ? '-' : `${duration(total.rpoSeconds)} ${from}, at worst`],
  ];
}

function troubles({ total }: ReportAnswer): string {
  const words = [
    ...(total.failed > 0 ? [`${total.failed} failed`] : []),
    ...(total.skipped > 0 ? [`${total.skipped} skipped by decision`] : []),
    ...(total.leftOut > 0 ? [`${total.leftOut} left out`] : []),
  ];
  return words.map((text) => `, ${text}`).join('');
}

function splitText({ queuedSeconds, fabricSeconds, guestSeconds, checksSeconds, personSeconds, orchestrationSeconds }: TimeSplit): string {
  const parts: [string, number][] = [
    ['fabric', fabricSeconds],
    ['guest start', guestSeconds],
    ['checks', checksSeconds],
    ['persons', personSeconds],
    ['orchestration', queuedSeconds + orchestrationSeconds],
  ];
  return parts.map(([name, seconds]) => `${name} ${duration(seconds)}`).join(', ');
}

const MOST_ROWS = 200;

const outcomeWords: Record<VmReportAnswer['outcome'], string> = {
  succeeded: 'succeeded',
  failed: 'failed',
  undone: 'taken back',
  skipped: 'skipped by decision',
  notNeeded: 'not needed: nobody of the group was left',
  waitsForPerson: 'waits for a person',
  inProgress: 'in progress',
};

function failoverTable(vms: readonly VmReportAnswer[], { colors }: Output): string {
  const time = (seconds: number | null) => (seconds === null ? '-' : duration(seconds));
  const rows = vms
    .slice(0, MOST_ROWS)
    .map((vm) => [
      `  ${plain(vm.name)}`,
      plain(vm.group),
      outcomeWords[vm.outcome],
      time(vm.rtoSeconds),
      time(vm.rpoSeconds),
      moment(vm.recoveryPointAt),
      vm.answeredAt ? 'yes' : vm.runningAt ? 'not waited for' : '-',
    ]);
  return table(['  VM', 'GROUP', 'OUTCOME', 'RTO', 'RPO', 'RECOVERY POINT', 'GUEST ANSWERS'], rows, '  no VMs', colors) + more(vms.length);
}

function actionLines({ job, actions }: ReportAnswer, output: Output): string[] {
  const rows = actions.map(({ group, member, name, when, outcome, beganAt, endedAt, confirmed, script }) => [
    `  ${plain(name)}`,
    `${whereWords[when]} ${plain(member ?? group)}`,
    `${outcomeWords[outcome]}${script?.exitCode == null ? '' : `, exit code ${script.exitCode}`}`,
    beganAt === null || endedAt === null ? '-' : duration((Date.parse(endedAt) - Date.parse(beganAt)) / 1000),
    confirmed === null ? '' : `${plain(confirmed.by)}: ${plain(confirmed.comment)}`,
  ]);
  const failures = actions.flatMap((action) => failureLines(action, output));
  const isTakenBack = job.state === 'failed' || job.state === 'cancelled';
  const stays = isTakenBack ? actions.filter(({ outcome }) => outcome === 'succeeded').map(({ name }) => plain(name)) : [];
  const told = stays.length === 0 ? [] : ['', `  What these did was not taken back, put it right: ${stays.join(', ')}`];
  return [table(['  ACTION', 'WHERE', 'OUTCOME', 'TOOK', 'CONFIRMED BY'], rows, '', output.colors), ...told, ...failures];
}

const whereWords: Record<ActionPlace, string> = { beforeShutDown: 'before shut-down of', before: 'before', after: 'after' };

function plainTable(vms: readonly VmReportAnswer[], { colors }: Output): string {
  const rows = vms
    .slice(0, MOST_ROWS)
    .map((vm) => [`  ${plain(vm.name)}`, outcomeWords[vm.outcome], moment(vm.beganAt), moment(vm.endedAt)]);
  return table(['  MEMBER', 'OUTCOME', 'BEGAN', 'ENDED'], rows, '  no members', colors) + more(vms.length);
}

function more(count: number): string {
  return count > MOST_ROWS ? `\n  and ${count - MOST_ROWS} more; --json has them all` : '';
}

function failureLines(vm: Pick<VmReportAnswer, 'name' | 'outcome' | 'failures'>, { colors }: Output): string[] {
  if (vm.outcome === 'succeeded') return [];
  return vm.failures
    .filter(({ isFinal }) => isFinal)
    .flatMap(({ title, code, cause, remedy, logRef }) => [
      '',
      `  ${colors.red(plain(vm.name))}${vm.name === title ? '' : `  ${plain(title)}`}: ${code}${logRef === '' ? '' : ` (agent log ${logRef})`}`,
      `    cause:  ${cause}`,
      `    remedy: ${remedy}`,
    ]);
}
