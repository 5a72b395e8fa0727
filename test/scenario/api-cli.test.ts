/** `farshore` as a person or a script uses it: a process of its own, against the real API over TLS. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { prepareSetup } from '../../control-plane/api/set-up.ts';
import type { DrillAnswer } from '../../shared/api/drills.ts';
import type { JobDetailAnswer } from '../../shared/api/jobs.ts';
import type { CommandToSend } from '../../shared/protocol/envelope.ts';
import { systemClock, systemRandom } from '../../shared/system-ports.ts';
import { ApiWorld, fail, PASSWORD, succeed } from '../support/api-world.ts';
import { until } from '../support/until.ts';

const PLAN = `name: shop
groups:
  - name: databases
    members: [{ vm: sql-01 }]
  - name: web
    members: [{ vm: web-01 }, { vm: Production/web-02 }]
`;

/** Two sites, signed in. */
async function ready(t: TestContext) {
  const world = await ApiWorld.open(t);
  const kim = await world.addVault('Northgate', 'kim');
  const reading = await world.addSite(kim, 'Reading', 'Production', ['sql-01', 'web-01', 'web-02']);
  const slough = await world.addSite(kim, 'Slough', 'Recovery');
  const signedIn = await world.cli(['sign-in', 'kim', '--address', world.address, '--ca', world.caFile], { input: `${PASSWORD}\n` });
  assert.equal(signedIn.code, 0, signedIn.stderr);
  assert.match(signedIn.stdout, /^kim \(owner\) in vault Northgate at https:/);
  const plan = path.join(world.folder, 'shop.yaml');
  await writeFile(plan, PLAN);
  return { world, kim, reading, slough, plan };
}

async function protectedShop(t: TestContext) {
  const ready_ = await ready(t);
  const { world, plan } = ready_;
  const steps = [
    [
      'pairings',
      'create',
      '--name',
      'main',
      '--primary',
      'Reading/Production',
      '--recovery',
      'Slough/Recovery',
      '--map',
      'Reading front=Slough front',
    ],
    ['protect', 'main', '--all'],
    ['plans', 'apply', plan],
  ];
  for (const args of steps) {
    const run = await world.cli(args);
    assert.equal(run.code, 0, `${args.join(' ')}: ${run.stdout}${run.stderr}`);
  }
  return ready_;
}

describe('the command line', () => {
  it('goes from sign-in to the report of a failover', async (t) => {
    const { world, reading } = await protectedShop(t);
    world.goDark(reading);
    const failover = await world.cli(['failover', '--kind', 'unplanned', '--plan', 'shop', '--reason', 'fire']);
    assert.equal(failover.code, 0, failover.stderr);
    assert.match(failover.stdout, /Unplanned failover of shop: succeeded/);
    assert.match(failover.stdout, /3 of 3 done/);
    const report = await world.cli(['report', 'latest']);
    assert.match(report.stdout, /Actual RTO +\d/);
    assert.match(report.stdout, /Evidence +primary site unreachable: fire/);
    const asJson = JSON.parse((await world.cli(['report', 'latest', '--json'])).stdout);
    assert.equal(asJson.total.succeeded, 3);
    const commit = await world.cli(['commit', '--plan', 'shop']);
    assert.equal(commit.code, 0, commit.stderr);
  });

  it('starts a drill, shows it, and counts it as passed when it is cleaned up', async (t) => {
    const { world } = await protectedShop(t);
    const unsaid = await world.cli(['drills', 'start', '--plan', 'shop']);
    assert.deepEqual([unsaid.code, /--network/.test(unsaid.stderr)], [2, true]);
    const both = await world.cli(['drills', 'start', '--plan', 'shop', '--network', 'Slough/Bubble', '--make-like', 'Slough front']);
    assert.deepEqual([both.code, /networks that are there, or its own/.test(both.stderr)], [2, true]);
    const production = await world.cli(['drills', 'start', '--plan', 'shop', '--network', 'Slough front']);
    assert.match(production.stderr, /ERR_NETWORK_NOT_ISOLATED/);
    const drill = await world.cli(['drills', 'start', '--plan', 'shop', '--network', 'Slough/Bubble']);
    assert.equal(drill.code, 0, drill.stderr);
    assert.match(drill.stdout, /Test failover of shop: succeeded/);
    const [, id = ''] = /farshore drills clean-up (\S+) /.exec(drill.stdout) ?? [];
    const report = await world.cli(['report', id]);
    assert.match(report.stdout, /succeeded: 3 of 3 test copies ran/);
    assert.match(report.stdout, /Actual RPO .* of data before the drill was started/);
    const listed = await world.cli(['drills', 'list']);
    assert.match(listed.stdout, /shop .* 3 of 3 there .* open/);
    assert.match((await world.cli(['vms', 'list'])).stdout, /Test copies of 3 of them are there/);
    const busy = await world.cli(['failover', '--kind', 'planned', '--plan', 'shop', '--reason', 'power works']);
    assert.match(busy.stderr, /ERR_DRILL_COPIES/);

    const args = ['drills', 'clean-up', 'latest', '--notes', 'placed an order'];
    assert.equal((await world.cli([...args, '--outcome', 'splendid'])).code, 2);
    const cleanUp = await world.cli([...args, '--outcome', 'passed']);
    assert.equal(cleanUp.code, 0, cleanUp.stderr);
    assert.match(cleanUp.stdout, /The drill of shop: passed/);
    const { drills } = JSON.parse((await world.cli(['drills', 'list', '--json'])).stdout);
    assert.deepEqual(
      drills.map(({ verdict, copiesLeft, vms, cleanUp }: DrillAnswer) => [verdict, copiesLeft, vms, cleanUp?.notes, cleanUp?.by]),
      [['passed', 0, 3, 'placed an order', 'kim']],
    );
    assert.equal((await world.cli(args.concat('--outcome', 'passed'))).code, 2, 'nothing is left');
  });

  it('exports one job or all of them, as JSON or CSV', async (t) => {
    const { world } = await protectedShop(t);
    const one = JSON.parse((await world.cli(['jobs', 'export', 'latest'])).stdout);
    assert.equal(one.jobs.length, 1);
    assert.equal(one.jobs[0].facts.length, one.jobs[0].lastSeq);
    const all = JSON.parse((await world.cli(['jobs', 'export', '--json'])).stdout);
    assert.deepEqual(
      all.jobs.map(({ kind }: { kind: string }) => kind),
      ['protect', 'pair'],
    );
    const csv = await world.cli(['jobs', 'export', '--format', 'csv', '--since', '2026-01-01']);
    assert.match(csv.stdout, /^job id,kind,target,started by,group,member,step,status,[^\r\n]*,reason\r\n/);
    assert.match(csv.stdout, /,protect,[^\r\n]*,sql-01,[^\r\n]*,done,1,/);
    const none = await world.cli(['jobs', 'export', '--since', '2999-01-01']);
    assert.deepEqual(JSON.parse(none.stdout), { jobs: [] });
    for (const wrong of [
      ['latest', '--since', '2026-01-01'],
      ['--json', '--format', 'csv'],
      ['--format', 'xml'],
      ['--since', 'monday'],
    ]) {
      const run = await world.cli(['jobs', 'export', ...wrong]);
      assert.deepEqual([run.code, run.stdout], [2, ''], wrong.join(' '));
    }
  });

  it('names every mistake of a plan with its line, and ends with 2', async (t) => {
    const { world } = await protectedShop(t);
    const file = path.join(world.folder, 'wrong.yaml');
    await writeFile(
      file,
      'name: wrong\ngroups:\n  - name: a\n    members:\n      - { vm: web-1 }\n      - { vm: nobody }\n      - { vm: web-01 }\n',
    );
    const run = await world.cli(['plans', 'validate', file]);
    assert.equal(run.code, 2);
    assert.match(run.stderr, /wrong\.yaml:5:.*'web-1'.*did you mean 'web-01'/);
    assert.match(run.stderr, /wrong\.yaml:6:.*'nobody'/);
    assert.match(run.stderr, /^remedy: /m);
    assert.equal(run.stdout, '');
  });

  it('finds a script that a site does not have, or has with another digest, and says which site it could not ask', async (t) => {
    const { world, slough, plan } = await protectedShop(t);
    const script = (pinned: string) =>
      PLAN.replace(
        '- name: web\n',
        `- name: web\n    after: [{ do: runScript, name: go, script: '${pinned}', directions: [toRecovery] }]\n`,
      );
    const validate = async (pinned: string) => {
      await writeFile(plan, script(pinned));
      return world.cli(['plans', 'validate', plan]);
    };
    const [right, wrong] = ['a'.repeat(64), 'b'.repeat(64)];
    assert.match((await validate(`Move.ps1@${right}`)).stderr, /shop\.yaml:6:.*Slough has no script 'Move\.ps1'.*agent\.yaml/);
    world.scripts.set(slough.id, [{ name: 'Move.ps1', sha256: right }]);
    assert.match((await validate(`Mov.ps1@${right}`)).stderr, /did you mean 'Move\.ps1'/);
    const changed = await validate(`Move.ps1@${wrong}`);
    assert.deepEqual([changed.code, changed.stderr.includes(`Move.ps1@${right}`)], [2, true], changed.stderr);
    assert.match((await validate('Move.ps1')).stderr, /64 hex digits/);
    assert.equal((await validate(`Move.ps1@${right}`)).code, 0);
    world.goDark(slough);
    const unasked = await validate(`Move.ps1@${right}`);
    assert.equal(unasked.code, 0, unasked.stderr);
    assert.match(unasked.stdout, /agent of Slough is not connected: its scripts were not checked/);
  });

  it('ends with 5 and says what to decide when the job waits for a person, and with 0 when it was retried', async (t) => {
    const { world, reading } = await protectedShop(t);
    world.goDark(reading);
    world.answers = (command) => (command.command.kind === 'vm.start' ? fail('ERR_WRONG_STATE') : succeed(command));
    const failover = await world.cli(['failover', '--kind', 'unplanned', '--plan', 'shop', '--reason', 'fire']);
    assert.equal(failover.code, 5, failover.stdout + failover.stderr);
    const [, job = '', member = ''] = /farshore jobs retry (\S+) (\S+)/.exec(failover.stdout) ?? [];
    assert.match(failover.stdout, /ERR_WRONG_STATE/);
    world.answers = succeed;
    const detail = JSON.parse((await world.cli(['jobs', 'show', job, '--json'])).stdout);
    const members = (detail as JobDetailAnswer).groups.flatMap((group) => group.members);
    const waiting = members.filter(({ status }) => status === 'waitsForPerson');
    assert.equal(waiting.length, 3);
    assert.equal(waiting[0]?.name, member);
    const nobody = await world.cli(['jobs', 'retry', job, 'sql-1', '--reason', 'mended']);
    assert.equal(nobody.code, 2);
    assert.match(nobody.stderr, /no waiting member 'sql-1'; did you mean 'sql-01'/);
    const one = await world.cli(['jobs', 'retry', job, member, '--reason', 'mended']);
    assert.match(one.stdout, /^1 decided, 2 still to decide/, one.stderr);
    const others = await world.cli(['jobs', 'retry', job, '--all', '--reason', 'mended']);
    assert.equal(others.code, 0, others.stderr);
    const end = await world.cli(['jobs', 'show', job, '--follow']);
    assert.equal(end.code, 0, end.stdout + end.stderr);
  });

  it('says what a plan asks of a person, takes the answer with a comment, and has it in the report', async (t) => {
    const { world, plan } = await protectedShop(t);
    const asking = PLAN.replace(
      '- name: web\n',
      '- name: web\n    before: [{ do: ask, name: tell the bank, instruction: Call the bank. }]\n',
    );
    await writeFile(plan, asking);
    assert.equal((await world.cli(['plans', 'apply', plan])).code, 0);
    const failover = await world.cli(['failover', '--kind', 'planned', '--plan', 'shop', '--reason', 'works']);
    assert.equal(failover.code, 5, failover.stdout + failover.stderr);
    assert.match(failover.stdout, /The plan asks you: Call the bank\./);
    const [, job = ''] = /farshore jobs confirm (\S+) 'tell the bank' --comment/.exec(failover.stdout) ?? [];
    const retried = await world.cli(['jobs', 'retry', job, '--all', '--reason', 'x']);
    assert.equal(retried.code, 2, 'there is nothing to try again');
    const other = await world.cli(['jobs', 'confirm', job, 'tell the bnk', '--comment', 'told']);
    assert.match(other.stderr, /did you mean 'tell the bank'/);
    const confirmed = await world.cli(['jobs', 'confirm', job, 'tell the bank', '--comment', 'Ms Hill knows']);
    assert.equal(confirmed.code, 0, confirmed.stderr);
    assert.equal((await world.cli(['jobs', 'show', job, '--follow'])).code, 0);
    assert.match((await world.cli(['report', job])).stdout, /tell the bank +before web +succeeded .*kim: Ms Hill knows/);
    assert.equal((await world.cli(['jobs', 'confirm', job, '--comment', 'again'])).code, 1, 'once');
  });

  it('ends with 4 when some VMs failed, and says which and why', async (t) => {
    const { world, reading } = await protectedShop(t);
    world.goDark(reading);
    let failed = 0;
    world.answers = (command) =>
      command.command.kind === 'failover.execute' && failed++ === 0 ? fail('ERR_NO_RECOVERY_POINT') : succeed(command);
    const run = await world.cli(['failover', '--kind', 'unplanned', '--plan', 'shop', '--reason', 'fire']);
    assert.equal(run.code, 4, run.stdout + run.stderr);
    assert.match(run.stdout, /sql-01.*ERR_NO_RECOVERY_POINT/);
    assert.equal(failed > 0, true);
  });

  it('resumes watching when the control plane restarts in the middle', async (t) => {
    const { world, reading, slough } = await protectedShop(t);
    world.goDark(reading);
    const isStart = (command: CommandToSend) => command.command.kind === 'vm.start';
    world.answers = (command) => (isStart(command) ? null : succeed(command));
    const watching = world.cli(['failover', '--kind', 'unplanned', '--plan', 'shop', '--reason', 'fire', '--json']);
    await until('a start is under way', () => world.sent.some(isStart));
    const { port } = world;
    await world.hangUp();
    await until('nobody listens', async () => (await fetch(world.address).catch(() => null)) === null);
    await world.listen(port);
    world.answers = succeed;
    for (const command of world.sent.filter(isStart)) world.finish(slough.id, command);
    const run = await watching;
    assert.equal(run.code, 0, run.stderr);
    const lines = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const seqs = lines.filter(({ type }) => type === 'fact').map(({ seq }) => seq);
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index + 1),
      'every fact once, in order',
    );
    assert.equal(lines.at(-1).job.state, 'succeeded');
  });

  it('says who may not, what is not reached and what is mistyped by its exit code', async (t) => {
    const { world, kim } = await ready(t);
    const viewer = await world.credential(kim, 'token', 'viewer');
    const refused = await world.cli(['sites', 'add', 'Third'], { environment: { FARSHORE_TOKEN: viewer } });
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /needs the role operator/);
    const ended = await world.cli(['sites', 'list'], { environment: { FARSHORE_TOKEN: 'x'.repeat(43) } });
    assert.equal(ended.code, 3);
    assert.equal((await world.cli(['sites', 'lst'])).code, 2);
    assert.equal((await world.cli(['failover', '--kind', 'unplanned', '--plan', 'none', '--reason', 'x'])).code, 2);
    await world.hangUp();
    const gone = await world.cli(['sites', 'list']);
    assert.equal(gone.code, 6);
    assert.match(gone.stderr, /ECONNREFUSED/);
    await world.listen();
  });

  it('trusts only the authority it was given', async (t) => {
    const { world } = await ready(t);
    const other = await ApiWorld.open(t);
    const run = await world.cli(['sign-in', 'kim', '--address', world.address, '--ca', other.caFile], { input: PASSWORD });
    assert.equal(run.code, 6);
    assert.match(run.stderr, /not by the authority given/);
  });

  it('shows tables that align and one JSON document with --json, and no secret in either', async (t) => {
    const { world } = await protectedShop(t);
    const config = JSON.parse(await readFile(path.join(world.folder, 'cli.json'), 'utf8'));
    for (const args of [
      ['sites', 'list'],
      ['clouds', 'list'],
      ['networks', 'list'],
      ['pairings', 'list'],
      ['vms', 'list'],
      ['plans', 'list'],
      ['jobs', 'list'],
      ['drills', 'list'],
      ['drills', 'schedule'],
      ['users', 'list'],
      ['tokens', 'list'],
      ['whoami'],
    ]) {
      const words = await world.cli(args);
      const asJson = await world.cli([...args, '--json']);
      assert.equal(words.code, 0, args.join(' ') + words.stderr);
      assert.equal(typeof JSON.parse(asJson.stdout), 'object', args.join(' '));
      for (const text of [words.stdout, words.stderr, asJson.stdout, asJson.stderr]) {
        assert.equal(text.includes(config.secret) || text.includes(PASSWORD) || text.includes('scrypt'), false, args.join(' '));
      }
    }
    // What is told of issues comes behind a blank line: the sites of this world say that nothing replicates.
    const [table = ''] = (await world.cli(['vms', 'list'])).stdout.split('\n\n');
    const [head = '', ...rows] = table.split('\n');
    assert.equal(rows.length, 3);
    for (const heading of ['PHASE', 'ACTIVE']) {
      const column = head.indexOf(heading);
      for (const row of rows) assert.match(row.slice(column - 1), /^ \S/, `${heading} begins in its column: ${row}`);
    }
  });

  it('sets up from the link alone, with nothing secret in its arguments', async (t) => {
    const world = await ApiWorld.open(t);
    const link = await prepareSetup({ store: world.store, clock: systemClock, random: systemRandom }, world.address);
    const args = ['set-up', '--address', world.address, '--ca', world.caFile, '--vault', 'Northgate', '--owner', 'kim'];
    const run = await world.cli(args, { input: `${link}\n${PASSWORD}\n` });
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /^kim \(owner\)/);
    const again = await world.cli(args, { input: `${link}\n${PASSWORD}\n` });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /ERR_SETUP_DONE/);
  });
});
