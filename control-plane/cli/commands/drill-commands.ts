/** Commands: drills. Test copies are started, looked at by a person, and cleaned up with what that person has to say. */
import type { Command } from 'commander';
import type { DrillAnswer, DrillScheduleAnswer } from '../../../shared/api/drills.ts';
import type { DrillNetwork } from '../../../shared/api/operations.ts';
import { DRILL_OUTCOMES, type DrillOutcome } from '../../../shared/domain/drill.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import type { JobId } from '../../../shared/ids.ts';
import type { Client } from '../client.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { pick } from '../names.ts';
import { jsonText, moment, type Output, plain, table } from '../output.ts';
import { stateWords } from '../progress/words.ts';
import { POINTS, pointOf } from '../recovery-point.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import type { Session } from '../session.ts';
import { type TargetOptions, targetOf, withReasonIfAny, withTarget } from '../target.ts';
import { wholeNumber } from '../whole-number.ts';

interface StartOptions extends TargetOptions, FollowOptions {
  readonly network: readonly string[];
  readonly makeLike: readonly string[];
  readonly recoveryPoint: string;
  readonly keepFailed: boolean;
  readonly cleanUpAfter?: number;
  readonly reason?: string;
}

interface CleanUpOptions extends FollowOptions {
  readonly outcome: string;
  readonly notes: string;
}

export function addDrillCommands(tree: Tree, program: Command): void {
  const drills = program.command('drills').description('drills: test failovers, which production does not notice');
  addLeaf(tree, drills, {
    usage: 'start',
    about: 'start test copies of VMs where their replicas are, on an isolated network; the VMs run and replicate on',
    examples: [
      'farshore drills start --plan shop --network Bubble',
      'farshore drills start --plan shop --network Slough/Bubble --network Leeds/Bubble',
      'farshore drills start --plan shop --make-like Slough/LAN',
      'farshore drills start --vm sql-01 --network none --recovery-point latest-application-consistent',
    ],
    configure: (command) =>
      withFollow(
        withReasonIfAny(withTarget(command))
          .option(
            '--network <network>',
            'an isolated VM network of the recovery site, once for each site; or none: unconnected',
            oneMore,
            [],
          )
          .option(
            '--make-like <network>',
            'make a network for the drill from the logical network of this one, without a way out, and remove it with the last copy; once for each site',
            oneMore,
            [],
          )
          .option('--recovery-point <point>', POINTS, 'latest')
          .option('--clean-up-after <minutes>', 'clean the copies up by themselves so long after they ran; else you do it', wholeNumber)
          .option('--keep-failed', 'leave the test copy of a VM that failed, to be looked at; else it is cleaned up at once', false),
      ),
    run: async (session, options: StartOptions) => {
      const client = session.client();
      const [target, network] = [await targetOf(client, options), await networkOf(client, options)];
      const wish = { kind: 'testFailover' as const, target, network, recoveryPoint: pointOf(options.recoveryPoint) };
      const { keepFailed, cleanUpAfter: cleanUpAfterMinutes, reason } = options;
      const more = {
        ...(keepFailed && { keepFailed: true as const }),
        ...(cleanUpAfterMinutes !== undefined && { cleanUpAfterMinutes }),
        ...(reason !== undefined && { reason }),
      };
      return runOperation(session, client, { ...wish, ...more }, options);
    },
  });
  addLeaf(tree, drills, {
    usage: 'list',
    about: 'list drills, newest first, and how they ended',
    examples: ['farshore drills list', 'farshore drills list --json'],
    configure: (command) => command.option('--limit <n>', '50 when not said', wholeNumber),
    run: async (session, { limit }: { limit?: number }) => {
      const answer = await session.client().call('listDrills', { query: limit === undefined ? {} : { limit } });
      session.output.show(answer, (shown) => drillTable(shown.drills, session.output));
      return undefined;
    },
  });
  addLeaf(tree, drills, {
    usage: 'schedule',
    about: 'list the plans that say how often they are drilled: the last drill, the next, and what is overdue',
    examples: ['farshore drills schedule', 'farshore drills schedule --json'],
    run: async (session) => {
      const [answer, { drills: known }] = await Promise.all([
        session.client().call('listDrillSchedules'),
        session.client().call('listDrills', { query: { limit: 500 } }),
      ]);
      session.output.show(answer, ({ schedules }) => scheduleText(schedules, known, session.output));
      return undefined;
    },
  });
  addLeaf(tree, drills, {
    usage: 'clean-up <drill>',
    about: 'remove the test copies of a drill and say how it went; only then it counts as passed',
    examples: [
      'farshore drills clean-up latest --outcome passed --notes "signed in and placed an order"',
      'farshore drills clean-up 7b8e5d7a --outcome failed --notes "the shop cannot reach its database"',
    ],
    configure: (command) =>
      withFollow(
        command
          .requiredOption('--outcome <outcome>', `what you say of it: ${DRILL_OUTCOMES.join(', ')}`)
          .requiredOption('--notes <text>', 'what you have seen; kept with the drill'),
      ),
    run: async (session, options: CleanUpOptions, wanted: string) => {
      const client = session.client();
      const { notes } = options;
      const [outcome, drill] = [outcomeOf(options.outcome), await findDrill(client, wanted)];
      const code = await runOperation(session, client, { kind: 'cleanUpTest', drill, outcome, notes }, options);
      if (options.follow) await tellVerdict(session, client, drill);
      return code;
    },
  });
}

/** A clean-up that succeeded makes no drill pass whose copies did not all run. */
async function tellVerdict({ output }: Session, client: Client, id: JobId): Promise<void> {
  const drill = (await client.call('listDrills', { query: { limit: 500 } })).drills.find((one) => one.id === id);
  if (drill === undefined) return;
  const { verdict, copiesLeft, vms, target } = drill;
  const left = copiesLeft > 0 ? `, ${copiesLeft} of ${vms} test copies are still there` : '';
  output.line(output.isJson ? jsonText({ type: 'drill', drill }) : `The drill of ${plain(target)}: ${verdict}${left}`);
}

/** `latest` is the newest that has something left to clean up. */
async function findDrill(client: Client, wanted: string): Promise<JobId> {
  const { drills } = await client.call('listDrills', { query: { limit: 500 } });
  if (wanted !== 'latest') return pick(wanted, drills, 'drill', ({ id }) => [id.slice(0, 8), id]).id;
  const open = drills.find(({ copiesLeft }) => copiesLeft > 0);
  if (open === undefined) throw new FarshoreError('ERR_REQUEST_INVALID', 'no drill has anything left to clean up');
  return open.id;
}

const oneMore = (network: string, all: readonly string[]) => [...all, network];

/** `network`, or `site/network` where several sites have one of that name. */
async function networkOf(client: Client, { network, makeLike }: Pick<StartOptions, 'network' | 'makeLike'>): Promise<DrillNetwork> {
  const refuse = (message: string) => new FarshoreError('ERR_REQUEST_INVALID', message);
  const names = [...network, ...makeLike];
  if (names.length === 0) throw refuse('say --network: an isolated VM network, or none; or --make-like: one to make a network like');
  if (network.length > 0 && makeLike.length > 0)
    throw refuse('say --network or --make-like: a drill uses networks that are there, or its own');
  if (network.includes('none')) {
    if (names.length > 1) throw refuse('--network none stands alone');
    return { use: 'none' };
  }
  const { networks } = await client.call('listNetworks');
  const chosen = names.map((name) =>
    pick(name, networks, 'VM network', (one) => [`${one.siteName}/${one.name}`, one.name, `${one.siteName}/${one.id}`, one.id]),
  );
  return {
    use: makeLike.length > 0 ? 'made' : 'isolated',
    networks: chosen.map(({ siteId, id }) => ({ siteId, networkId: id })),
  };
}

function outcomeOf(text: string): DrillOutcome {
  const outcome = DRILL_OUTCOMES.find((one) => one === text);
  if (outcome === undefined) throw new FarshoreError('ERR_REQUEST_INVALID', `--outcome knows: ${DRILL_OUTCOMES.join(', ')}; not '${text}'`);
  return outcome;
}

function drillTable(drills: readonly DrillAnswer[], { colors }: Output): string {
  const rows = drills.map((drill) => [
    drill.id.slice(0, 8),
    plain(drill.target),
    moment(drill.startedAt),
    drill.startedBy,
    stateWords[drill.state],
    copiesText(drill),
    drill.verdict,
    plain(drill.cleanUp?.notes ?? ''),
  ]);
  const head = ['DRILL', 'TARGET', 'STARTED', 'BY', 'STATE', 'TEST COPIES', 'RESULT', 'NOTES'];
  return table(head, rows, 'no drills; start one with: farshore drills start --plan PLAN --network NETWORK', colors);
}

function copiesText({ copiesLeft, vms, cleansUpAt }: DrillAnswer): string {
  if (copiesLeft === 0) return 'none left';
  return `${copiesLeft} of ${vms} there${cleansUpAt === null ? '' : `, until ${moment(cleansUpAt)}`}`;
}

function scheduleText(schedules: readonly DrillScheduleAnswer[], drills: readonly DrillAnswer[], { colors }: Output): string {
  const rows = schedules.map(({ plan, schedule, last, nextAt, issues }) => {
    const { everyDays, at } = schedule;
    const every = `${everyDays} ${everyDays === 1 ? 'day' : 'days'}${at === undefined ? '' : ` at ${at} UTC`}`;
    const verdict = drills.find(({ id }) => id === last?.drill)?.verdict;
    const before = last === null ? 'never' : `${moment(last.startedAt)}${verdict === undefined ? '' : `, ${verdict}`}`;
    return [plain(plan.name), every, before, issues.length > 0 ? colors.red(`OVERDUE since ${moment(nextAt)}`) : moment(nextAt)];
  });
  const all = table(['PLAN', 'EVERY', 'LAST', 'NEXT'], rows, 'no plan says how often it is drilled; add `drill` to one', colors);
  const alarms = schedules.flatMap(({ plan, issues }) =>
    issues.flatMap(({ cause, remedy }) => [
      '',
      colors.red(`DRILL OVERDUE: ${plain(plan.name)}`),
      `  cause:  ${plain(cause)}`,
      `  remedy: ${remedy}`,
    ]),
  );
  return [all, ...alarms].join('\n');
}
