/** Commands: protected VMs, and the operations that begin and end protection. */
import type { Command } from 'commander';
import type { ProtectedVmAnswer, RecoveryPointsAnswer } from '../../../shared/api/protection.ts';
import type { FirstCopy } from '../../../shared/domain/first-copy.ts';
import type { VmIssue } from '../../../shared/domain/health.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { FIRST_COPY_WORDS, firstCopyOption, folderOption } from '../first-copy.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { measureIn, measureTable } from '../measure-table.ts';
import { byNameOrId, pick } from '../names.ts';
import { duration, moment, type Output, plain, table } from '../output.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { findVms, type TargetOptions, targetOf, withReasonIfAny, withTarget } from '../target.ts';
import { findPairing } from './pairing-commands.ts';

/** An agent that is connected is heard every 20 seconds. */
const HEARD_WITHIN_S = 25;

export function addProtectionCommands(tree: Tree, program: Command): void {
  const vms = program.command('vms').description('protected VMs');
  addLeaf(tree, vms, {
    usage: 'list',
    about: 'list the protected VMs with both sides as last observed',
    examples: ['farshore vms list', 'farshore vms list --pairing main --json'],
    configure: (command) => command.option('--pairing <pairing>', 'only those of one pairing'),
    run: async (session, options: { pairing?: string }) => {
      const client = session.client();
      const query = options.pairing === undefined ? {} : { pairing: (await findPairing(client, options.pairing)).id };
      session.output.show(await client.call('listProtectedVms', { query }), (answer) => vmTable(answer.protectedVms, session.output));
      return undefined;
    },
  });
  addLeaf(tree, vms, {
    usage: 'measure [vms...]',
    about: 'show how VMs replicate, as the fabric of their site counts it: cycles, sizes, latencies; as of the last change it told',
    examples: ['farshore vms measure', 'farshore vms measure sql-01 web-01 --json'],
    run: async (session, _options: object, wanted: readonly string[]) => {
      const client = session.client();
      const { protectedVms } = await client.call('listProtectedVms', { query: {} });
      const ids = new Set(wanted.length === 0 ? protectedVms.map(({ id }) => id) : await findVms(client, wanted));
      const vms = protectedVms.filter(({ id }) => ids.has(id)).map((vm) => ({ id: vm.id, name: vm.name, measure: measureIn(vm) }));
      session.output.show({ vms }, (answer) => measureTable(answer.vms, session.output));
      return undefined;
    },
  });
  addLeaf(tree, vms, {
    usage: 'points <vm>',
    about: 'list the recovery points of a VM as its replica has them now; an id is for --recovery-point of failover',
    examples: ['farshore vms points sql-01', 'farshore vms points sql-01 --json'],
    run: async (session, _options: object, wanted: string) => {
      const client = session.client();
      const [protectedVmId] = await findVms(client, [wanted]);
      if (protectedVmId === undefined) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such protected VM');
      session.output.show(await client.call('listRecoveryPoints', { params: { protectedVmId } }), (answer) =>
        pointTable(answer, session.output),
      );
      return undefined;
    },
  });

  addLeaf(tree, program, {
    usage: 'protect <pairing> [vms...]',
    about: 'protect VMs under a pairing: replication on, networks and addresses set, first copy sent',
    examples: [
      'farshore protect main web-01 web-02',
      'farshore protect main --all',
      'farshore protect main sql-01 --first-copy 2026-11-28T22:00Z',
      String.raw`farshore protect main sql-01 --first-copy export:D:\FirstCopies`,
    ],
    configure: (command) =>
      withFollow(
        command
          .option('--all', 'every VM of the primary cloud that is not protected yet', false)
          .option(
            '--first-copy <how>',
            `${FIRST_COPY_WORDS}, as the hosts of the VMs see it: somebody carries it to the recovery site, and import-first-copy takes it in there`,
            firstCopyOption,
          ),
      ),
    run: async (session, options: FollowOptions & { all: boolean; firstCopy?: FirstCopy }, wanted: string, names: readonly string[]) => {
      if (options.all === names.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'name the VMs, or say --all');
      const client = session.client();
      const pairing = await findPairing(client, wanted);
      const { siteId, cloudId } = pairing.primary;
      const there = (await client.call('listSiteVms', { params: { siteId }, query: { cloud: cloudId } })).vms;
      const isProtected = new Set(
        (await client.call('listProtectedVms', { query: { pairing: pairing.id } })).protectedVms.map(({ vmId }) => vmId),
      );
      const chosen = options.all
        ? there.filter(({ id }) => !isProtected.has(id))
        : names.map((name) => pick(name, there, 'VM', byNameOrId));
      if (chosen.length === 0)
        throw new FarshoreError('ERR_REQUEST_INVALID', `every VM of ${plain(pairing.primary.cloudName)} is protected already`);
      const vms = chosen.map(({ id }) => id);
      const { firstCopy } = options;
      return runOperation(session, client, { kind: 'protect', pairing: pairing.id, vms, ...(firstCopy && { firstCopy }) }, options);
    },
  });
  addLeaf(tree, program, {
    usage: 'import-first-copy',
    about: 'take in, at the recovery site, first copies that were exported when their VMs were protected',
    examples: [
      String.raw`farshore import-first-copy --vm sql-01 --folder E:\FirstCopies`,
      String.raw`farshore import-first-copy --plan shop --folder \\files\first-copies --reason "the disk has arrived"`,
    ],
    configure: (command) =>
      withFollow(withReasonIfAny(withTarget(command))).requiredOption(
        '--folder <folder>',
        'where it stands now, as the host of the replica sees it',
        folderOption,
      ),
    run: async (session, options: TargetOptions & FollowOptions & { folder: string; reason?: string }) => {
      const client = session.client();
      const target = await targetOf(client, options);
      const { folder, reason } = options;
      return runOperation(session, client, { kind: 'importFirstCopy', target, folder, ...(reason !== undefined && { reason }) }, options);
    },
  });
  addLeaf(tree, program, {
    usage: 'unprotect [vms...]',
    about: 'end the protection of VMs, or of members of a plan, on both sides',
    examples: [
      'farshore unprotect web-01 --reason "it is switched off for good"',
      'farshore unprotect --plan shop --only web-02',
      'farshore unprotect Production/web-01 Production/web-02',
      'farshore unprotect web-01 --force "Reading is rebuilt from scratch"',
    ],
    configure: (command) =>
      withFollow(withReasonIfAny(withTarget(command))).option(
        '--force <reason>',
        'although a side is away: the VM is forgotten at once. The job ends replication there when the side is back; or give the site up (farshore jobs give-up), clean it by hand and skip the step. Nothing that runs is stopped, a replica that was failed over is kept, and so are test copies of a drill at a side that is away: stop and delete those by hand. A job that only waits for a copy is cancelled first (farshore jobs cancel)',
      ),
    run: async (session, options: TargetOptions & FollowOptions & { reason?: string; force?: string }, names: readonly string[]) => {
      const client = session.client();
      const target = await targetOf(client, { ...options, vm: [...options.vm, ...names] });
      const { reason, force } = options;
      const forced = force === undefined ? {} : { forced: { reason: force } };
      // It may wait for a site that never comes back: nobody wants to sit and watch that.
      const follow = options.follow && force === undefined;
      return runOperation(session, client, { kind: 'unprotect', target, ...forced, ...(reason !== undefined && { reason }) }, { follow });
    },
  });
}

function pointTable({ recoveryPoints, siteName }: RecoveryPointsAnswer, { colors }: Output): string {
  const kinds = { crashConsistent: 'crash-consistent', applicationConsistent: 'application-consistent' } as const;
  const rows = recoveryPoints.map(({ id, at, kind, ageSeconds }) => [moment(at), duration(ageSeconds), kinds[kind], plain(id)]);
  return table(['MOMENT', 'AGE', 'KIND', 'ID'], rows, `${plain(siteName)} holds no recovery point of it`, colors);
}

function vmTable(vms: readonly ProtectedVmAnswer[], { colors }: Output): string {
  // What a dark site said last is no news of now, and the API calls it unknown only later.
  const side = (seen: ProtectedVmAnswer['primary']) => {
    if (seen === null) return 'never reported';
    return seen.ageSeconds > HEARD_WITHIN_S && seen.power !== 'unknown' ? `${seen.power} ${duration(seen.ageSeconds)} ago` : seen.power;
  };
  const rows = vms.map((vm) => {
    const replica = vm.activeLocation === 'primary' ? vm.recovery : vm.primary;
    const { health } = replica?.replication ?? { health: 'unknown' };
    const point = replica?.lastPointAt ?? null;
    return [
      plain(vm.name),
      vm.phase,
      vm.activeLocation,
      side(vm.primary),
      side(vm.recovery),
      vm.issues.length > 0 ? colors.red(vm.issues.map(({ issue }) => issueWords[issue]).join(', ')) : health,
      point === null ? '-' : `${point.slice(11, 19)}Z`,
      plain(vm.pairing.name),
    ];
  });
  const all = table(
    ['VM', 'PHASE', 'ACTIVE', 'PRIMARY', 'RECOVERY', 'HEALTH', 'NEWEST POINT', 'PAIRING'],
    rows,
    'no protected VMs; protect some with: farshore protect',
    colors,
  );
  const copies = vms.filter(({ drill }) => drill !== null).length;
  const drills = copies === 0 ? [] : ['', `Test copies of ${copies} of them are there: farshore drills list`];
  return [all, ...drills, ...alarms(vms, colors), ...returns(vms, colors)].join('\n');
}

/** What happens by itself, and when. */
function returns(vms: readonly ProtectedVmAnswer[], { yellow }: Output['colors']): string[] {
  const byMoment = Map.groupBy(vms, ({ takesItselfBackAt }) => takesItselfBackAt);
  return [...byMoment].flatMap(([at, some]) =>
    at === null ? [] : ['', yellow(`${some.map(({ name }) => plain(name)).join(', ')}: taken back at ${moment(at)} unless committed`)],
  );
}

const issueWords: Record<VmIssue, string> = {
  twoLiveCopies: 'TWO LIVE COPIES',
  runsAtOtherSide: 'RUNS AT THE OTHER SIDE',
  newerAtSite: 'A SITE KNOWS MORE',
  outOfStep: 'OUT OF STEP',
  firstCopyScheduled: 'FIRST COPY COMES LATER',
  firstCopyToImport: 'FIRST COPY TO BE TAKEN IN',
  suspended: 'SUSPENDED',
  replicaSuspended: 'REPLICA SUSPENDED',
  notReplicating: 'NOT REPLICATING',
  behindPairing: 'BEHIND ITS PAIRING',
  takeBackDelayed: 'NOT TAKEN BACK YET',
  takeBackLapsed: 'NOT TAKEN BACK',
};

/** One for each kind of issue, with the number of VMs that have it: a site that came back may bring hundreds. */
function alarms(vms: readonly ProtectedVmAnswer[], colors: Output['colors']): string[] {
  const found = Map.groupBy(
    vms.flatMap((vm) => vm.issues),
    ({ issue }) => issue,
  );
  return [...found.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const what = `${issueWords[first.issue]}: ${same.length} of ${vms.length} VMs`;
    return ['', colors.red(what), `  cause:  ${first.cause}`, `  remedy: ${first.remedy}`];
  });
}
