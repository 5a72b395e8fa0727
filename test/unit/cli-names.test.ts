/** Names in place of ids: one that several have is answered with names of which each means one, and never picked by chance. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pick } from '../../control-plane/cli/names.ts';
import { textsOf } from '../../shared/domain/plan-members.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { ProtectedVmId } from '../../shared/ids.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const random = new SeededRandom(5);
const vm = (siteName: string, cloudName: string, name: string) => ({ id: ProtectedVmId.parse(random.uuid()), siteName, cloudName, name });
const vms = [vm('Reading', 'Production', 'sql-01'), vm('Leeds', 'Production', 'sql-01'), vm('Leeds', 'Office', 'sql-01')];
const pickVm = (wanted: string) => pick(wanted, vms, 'protected VM', textsOf);

test('a VM is named by its cloud where that is enough, and by its site too where two sites have a cloud of one name', () => {
  assert.equal(pickVm('Office/sql-01'), vms[2]);
  assert.equal(pickVm('leeds/production/sql-01'), vms[1], 'whatever the case');
  assert.throws(
    () => pickVm('sql-01'),
    new FarshoreError(
      'ERR_REQUEST_INVALID',
      "3 protected VMs are called 'sql-01'; say which: Reading/Production/sql-01, Leeds/Production/sql-01, Office/sql-01",
    ),
  );
});
