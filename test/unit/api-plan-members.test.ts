/** Which VM a member of a plan means. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveMembers } from '../../shared/domain/plan-members.ts';
import { RecoveryPlan } from '../../shared/domain/recovery-plan.ts';
import { ProtectedVmId } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const random = new SeededRandom(1);
const vm = (name: string, cloudName: string, siteName = 'Reading') => ({
  id: ProtectedVmId.parse(random.uuid()),
  name,
  cloudName,
  siteName,
});
const vms = [vm('sql-01', 'Gold'), vm('web-01', 'Gold'), vm('web-01', 'Silver'), vm('app', 'Twin'), vm('app', 'Twin')];
const twoSites = [vm('sql-01', 'Production', 'Reading'), vm('sql-01', 'Production', 'Leeds')];
const plan = (...names: string[]) =>
  RecoveryPlan.parse({ name: 'p', groups: [{ name: 'g', members: names.map((name) => ({ vm: name })) }] });

describe('the members of a plan', () => {
  it('are named alone where that is unique, with their cloud where it is not, and by id where even that is not', () => {
    const { members, problems } = resolveMembers(plan('sql-01', 'Silver/web-01', vms[3]?.id ?? ''), vms);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      members.map(({ vmId }) => vmId),
      [vms[0]?.id, vms[2]?.id, vms[3]?.id],
    );
    assert.equal(members[0]?.guestAnswersWithinSeconds, 300, 'from the plan');
  });

  it('are named with their site where two sites have a cloud of one name', () => {
    const { members, problems } = resolveMembers(plan('Leeds/Production/sql-01', 'Production/sql-01'), twoSites);
    assert.deepEqual(
      members.map(({ vmId }) => vmId),
      [twoSites[1]?.id],
    );
    assert.deepEqual(
      problems.map(({ allowed }) => allowed),
      ['Reading/Production/sql-01, Leeds/Production/sql-01'],
    );
  });

  it('are told all at once when they mean no VM, several, or one twice', () => {
    const { members, problems } = resolveMembers(plan('sql-1', 'web-01', 'Twin/app', 'sql-01', 'Gold/sql-01'), vms);
    assert.deepEqual(
      problems.map(({ index }) => index),
      [0, 1, 2, 4],
    );
    assert.match(problems[0]?.message ?? '', /did you mean 'sql-01'/);
    assert.equal(problems[1]?.allowed, 'Gold/web-01, Silver/web-01');
    assert.equal(problems[2]?.allowed, `${vms[3]?.id}, ${vms[4]?.id}`);
    assert.match(problems[3]?.message ?? '', /'sql-01' means already/);
    assert.equal(members.length, 1);
  });

  it('are found among ten thousand', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => vm(`vm-${index}`, 'Gold'));
    const { problems } = resolveMembers(plan(...many.map(({ name }) => `${name}x`)), many);
    assert.equal(problems.length, 10_000);
  });
});
