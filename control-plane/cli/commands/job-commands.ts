/** Commands: jobs, their decisions, and the report. */
import { type Command, Option } from 'commander';
import type { JobDetailAnswer } from '../../../shared/api/jobs.ts';
import { JobState } from '../../../shared/engine/facts.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { JobId, type StepId } from '../../../shared/ids.ts';
import type { Client } from '../client.ts';
import { csvOfJobs, type ExportedJob } from '../job-export.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { momentOption } from '../moment-option.ts';
import { pick } from '../names.ts';
import { duration, jsonText, moment, type Output, plain, table } from '../output.ts';
import { afterCancel, summaryOf } from '../progress/summary.ts';
import { activityOf, approvalText, jobTitle, stateWords, statusWords } from '../progress/words.ts';
import { jobsSince, readJob } from '../read-jobs.ts';
import { reportText } from '../report-text.ts';
import { type FollowOptions, startAndWatch, watchJob, withFollow } from '../run-operation.ts';
import { withReason } from '../target.ts';
import { wholeNumber } from '../whole-number.ts';

export function addJobCommands(tree: Tree, program: Command): void {
  const jobs = program.command('jobs').description('jobs: runs of operations');
  addLeaf(tree, jobs, {
    usage: 'list',
    about: 'list jobs, newest first',
    examples: ['farshore jobs list', 'farshore jobs list --state parked'],
    configure: (command) =>
      command.option('--state <state>', JobState.options.join(', ')).option('--limit <n>', '50 when not said', wholeNumber),
    run: async (session, { state, limit }: { state?: JobState; limit?: number }) => {
      const now = session.surroundings.clock.now();
      session.output.show(
        await session.client().call('listJobs', { query: { ...(state && { state }), ...(limit && { limit }) } }),
        (answer) => {
          const rows = answer.jobs.map((job) => {
            const seconds = Math.floor(((job.endedAt === null ? now : Date.parse(job.endedAt)) - Date.parse(job.startedAt)) / 1000);
            return [job.id.slice(0, 8), jobTitle(job), stateWords[job.state], moment(job.startedAt), duration(seconds), job.startedBy];
          });
          return table(['JOB', 'WHAT', 'STATE', 'STARTED', 'TOOK', 'BY'], rows, 'no jobs', session.output.colors);
        },
      );
      return undefined;
    },
  });
  addLeaf(tree, jobs, {
    usage: 'show <job>',
    about: 'show a job with its members; with --follow, watch it until it ends',
    examples: ['farshore jobs show latest', 'farshore jobs show 7b8e5d7a --follow'],
    configure: (command) => command.option('--follow', 'watch it', false),
    run: async (session, options: { follow: boolean }, wanted: string) => {
      const client = session.client();
      const jobId = await findJob(client, wanted);
      if (options.follow) return watchJob(session, client, jobId);
      session.output.show(await client.call('getJob', { params: { jobId } }), (job) =>
        jobText(job, session.output, session.surroundings.clock.now()),
      );
      return undefined;
    },
  });
  for (const decision of ['retry', 'skip'] as const) {
    addLeaf(tree, jobs, {
      usage: `${decision} <job> [members...]`,
      about: decision === 'retry' ? 'try again the steps that wait for a person' : 'go on without the steps that wait for a person',
      examples: [
        `farshore jobs ${decision} latest sql-01 --reason "seen on the console"`,
        `farshore jobs ${decision} latest --all --reason "seen on the console"`,
      ],
      configure: (command) => withReason(command).option('--all', 'every step of the job that waits', false),
      run: async (session, options: { reason: string; all: boolean }, wanted: string, members: readonly string[]) => {
        if (options.all === members.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'name the members (VMs), or say --all');
        const client = session.client();
        const jobId = await findJob(client, wanted);
        // What was asked of a person has not failed: there is nothing to try again.
        const waiting = waitingSteps(await client.call('getJob', { params: { jobId } })).filter(
          ({ isAsked }) => decision === 'skip' || !isAsked,
        );
        if (waiting.length === 0)
          throw new FarshoreError(
            'ERR_REQUEST_INVALID',
            `nothing in job ${jobId} waits for a person; see what it does: farshore jobs show`,
          );
        const chosen = options.all
          ? waiting
          : members.map((name) => pick(name, waiting, 'waiting member', ({ member, step }) => [member, step]));
        for (const { step } of chosen)
          await client.call('decideStep', { params: { jobId }, body: { step, decision, reason: options.reason } });
        const left = waiting.length - chosen.length;
        session.output.show(
          { job: jobId, steps: chosen.map(({ step }) => step), decision, stillWaiting: left },
          () =>
            `${chosen.length} decided${left > 0 ? `, ${left} still to decide` : ''}; watch it with: farshore jobs show ${jobId} --follow`,
        );
        return undefined;
      },
    });
  }
  addLeaf(tree, jobs, {
    usage: 'confirm <job> [step]',
    about: 'say that what the plan asked of a person is done, with a comment; the step by name or id, where more than one waits',
    examples: [
      'farshore jobs confirm latest --comment "the bank is told"',
      'farshore jobs confirm 7b8e5d7a "tell the bank" --comment "done"',
    ],
    configure: (command) => command.requiredOption('--comment <text>', 'what was done or found; kept with the job'),
    run: async (session, options: { comment: string }, wanted: string, name?: string) => {
      const client = session.client();
      const jobId = await findJob(client, wanted);
      const asked = waitingSteps(await client.call('getJob', { params: { jobId } })).filter(({ isAsked }) => isAsked);
      const step = askedStep(asked, name);
      await client.call('decideStep', { params: { jobId }, body: { step, decision: 'confirm', reason: options.comment } });
      session.output.show({ job: jobId, step, confirmed: true }, () => `confirmed; watch it with: farshore jobs show ${jobId} --follow`);
      return undefined;
    },
  });
  addLeaf(tree, jobs, {
    usage: 'cancel <job>',
    about:
      'cancel a job: nothing new starts, and what is not past the point of no return is undone; what is past it goes on. A wait for a copy ends, and what has been begun goes on copying by itself. A held job ends as it stands, and nothing is undone',
    examples: ['farshore jobs cancel latest --reason "wrong plan"'],
    configure: withReason,
    run: async (session, options: { reason: string }, wanted: string) => {
      const client = session.client();
      const jobId = await findJob(client, wanted);
      const job = await client.call('cancelJob', { params: { jobId }, body: { reason: options.reason } });
      session.output.show({ job: jobId, state: job.state, stillWaiting: waitingSteps(job).length }, () => afterCancel(job));
      return undefined;
    },
  });
  addLeaf(tree, jobs, {
    usage: 'give-up <job>',
    about:
      'wait no longer for a site whose agent has been silent for a minute and a half: its steps fail, and what it would have to undo is left as it is. An agent that comes back later does none of it',
    examples: ['farshore jobs give-up latest --site Reading --reason "the building is gone"'],
    configure: (command) => withReason(command).requiredOption('--site <site>', 'the site, by its name'),
    run: async (session, options: { reason: string; site: string }, wanted: string) => {
      const client = session.client();
      const jobId = await findJob(client, wanted);
      const { awaitedAgents } = await client.call('getJob', { params: { jobId } });
      const { site, siteId, steps } = pick(options.site, awaitedAgents, 'site that the job waits for', (one) => [one.site, one.siteId]);
      await client.call('giveUpSite', { params: { jobId }, body: { site: siteId, reason: options.reason } });
      session.output.show(
        { job: jobId, site, steps },
        () => `${steps} ${steps === 1 ? 'step' : 'steps'} given up; see what is left with: farshore jobs show ${jobId}`,
      );
      return undefined;
    },
  });
  addResume(tree, jobs);
  addRestart(tree, jobs);
  addExport(tree, jobs);
  addLeaf(tree, program, {
    usage: 'report <job>',
    about: 'show the report of a job: actual RTO and RPO, successes and failures, the evidence',
    examples: ['farshore report latest', 'farshore report latest --json > report.json'],
    run: async (session, _options: object, wanted: string) => {
      const client = session.client();
      const report = await client.call('getReport', { params: { jobId: await findJob(client, wanted) } });
      session.output.show(report, () => reportText(report, session.output));
      return undefined;
    },
  });
}

function addResume(tree: Tree, jobs: Command): void {
  addLeaf(tree, jobs, {
    usage: 'resume <job>',
    about:
      'let a held job go on: after a start of the control plane a site knows more than it does, as when a backup was put back, or a site was not heard. Look at the sites first: farshore jobs show says which',
    examples: ['farshore jobs resume latest --reason "the VM is off at both sites, I have looked"'],
    configure: withReason,
    run: async (session, options: { reason: string }, wanted: string) => {
      const client = session.client();
      const jobId = await findJob(client, wanted);
      await client.call('resumeJob', { params: { jobId }, body: { reason: options.reason } });
      session.output.show({ job: jobId, resumed: true }, () => `it goes on; watch it with: farshore jobs show ${jobId} --follow`);
      return undefined;
    },
  });
}

function addRestart(tree: Tree, jobs: Command): void {
  addLeaf(tree, jobs, {
    usage: 'restart <job>',
    about: 'run again what failed, was cancelled or was done in part: a new job, for the VMs that were not done',
    examples: [
      'farshore jobs restart latest --reason "the host is back"',
      'farshore jobs restart 7b8e5d7a --reason "the VMs were looked at again" --attest',
    ],
    configure: (command) =>
      withFollow(withReason(command)).option(
        '--attest',
        'you vouch anew, with the reason of now, for what was vouched for: that VMs are down where they are left, that nobody needs what the former primary holds, an emergency, force, that recovery points may be deleted, or that settings may differ',
        false,
      ),
    run: async (session, options: FollowOptions & { reason: string; attest: boolean }, wanted: string) => {
      const client = session.client();
      const params = { jobId: await findJob(client, wanted) };
      const { reason, attest } = options;
      const start = (id: JobId) => client.call('restartJob', { params, body: { id, reason, ...(attest && { attested: true as const }) } });
      return startAndWatch(session, client, start, options);
    },
  });
}

function addExport(tree: Tree, jobs: Command): void {
  addLeaf(tree, jobs, {
    usage: 'export [job]',
    about:
      'write a job, or all jobs, as a document to standard output: JSON with tasks, errors, decisions and facts, or CSV with a row per step',
    examples: [
      'farshore jobs export latest > job.json',
      'farshore jobs export --format csv --since 2026-11-01 > november.csv',
      'farshore jobs export 7b8e5d7a --format csv',
    ],
    configure: (command) =>
      command
        .addOption(new Option('--format <format>', 'json when not said').choices(['json', 'csv']))
        .option('--since <moment>', 'only jobs that started then or later: 2026-11-23 or 2026-11-23T02:47:24Z', momentOption),
    run: async (session, options: { format?: 'json' | 'csv'; since?: number }, wanted: string | undefined) => {
      const { format, since } = options;
      const { output } = session;
      if (wanted !== undefined && since !== undefined)
        throw new FarshoreError('ERR_REQUEST_INVALID', 'name a job, or say --since; not both');
      if (output.isJson && format === 'csv') throw new FarshoreError('ERR_REQUEST_INVALID', 'say --json, or --format csv; not both');
      const client = session.client();
      const { clock } = session.surroundings;
      const ids = wanted === undefined ? await jobsSince(client, clock, since ?? 0) : [await findJob(client, wanted)];
      const exported: ExportedJob[] = [];
      for (const id of ids) exported.push(await readJob(client, clock, id));
      if (format === 'csv') output.text(csvOfJobs(exported));
      else output.line(jsonText({ jobs: exported }, 2));
      return undefined;
    },
  });
}

interface WaitingStep {
  readonly member: string;
  readonly step: StepId;
  /** A person is asked to confirm it; else it failed. */
  readonly isAsked: boolean;
}

function waitingSteps(job: JobDetailAnswer): WaitingStep[] {
  const members = job.groups.flatMap((group) => group.members);
  return members.flatMap(({ name, steps }) =>
    steps.filter((step) => step.waitsForPerson).map(({ id, instruction }) => ({ member: name, step: id, isAsked: instruction !== null })),
  );
}

function askedStep(asked: readonly WaitingStep[], name: string | undefined): StepId {
  const [only] = asked;
  if (only === undefined) throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'nothing of the job waits to be confirmed');
  if (name !== undefined) return pick(name, asked, 'step that waits to be confirmed', ({ member, step }) => [member, step]).step;
  if (asked.length === 1) return only.step;
  const names = asked.map(({ member }) => plain(member)).join(', ');
  throw new FarshoreError('ERR_REQUEST_INVALID', `${asked.length} steps wait to be confirmed, name one: ${names}`);
}

/** An id, its beginning, or `latest`. */
async function findJob(client: Client, wanted: string): Promise<JobId> {
  const whole = JobId.safeParse(wanted);
  if (whole.success) return whole.data;
  const { jobs } = await client.call('listJobs', { query: { limit: 500 } });
  const found =
    wanted === 'latest' ? jobs.slice(0, 1) : wanted.length < 4 ? [] : jobs.filter(({ id }) => id.startsWith(wanted.toLowerCase()));
  const [first] = found;
  if (first === undefined) throw new FarshoreError('ERR_NOT_FOUND', `there is no job '${plain(wanted)}'`);
  if (found.length > 1) throw new FarshoreError('ERR_REQUEST_INVALID', `${found.length} jobs begin with '${wanted}'`);
  return first.id;
}

function jobText(job: JobDetailAnswer, output: Output, now: number): string {
  const [title = '', ...summary] = summaryOf(job, output).split('\n');
  const lines = [
    title,
    `  started ${moment(job.startedAt)} by ${plain(job.startedBy)}${job.reason === null ? '' : ` (${plain(job.reason)})`}${job.endedAt === null ? '' : `, ended ${moment(job.endedAt)}`}`,
    ...(job.restartOf === null ? [] : [`  a new run of job ${job.restartOf}`]),
    ...(job.approval?.state === 'approved' ? [`  ${approvalText(job.approval)}`] : []),
    ...summary,
  ];
  for (const group of job.groups) {
    lines.push('', output.colors.bold(plain(group.name)));
    const rows = group.members.map((member) => {
      const { words, seconds } = activityOf(member, now);
      return [
        `  ${plain(member.name)}`,
        statusWords[member.status],
        words === statusWords[member.status] ? '' : words,
        seconds === null ? '' : duration(seconds),
      ];
    });
    lines.push(table(['  MEMBER', 'STATUS', '', 'TOOK'], rows, '  no members', output.colors));
  }
  return lines.join('\n');
}
