import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JobVms, restartRequest } from '../../control-plane/operations/restart.ts';
import type { Job } from '../../control-plane/store/job-store.ts';
import type { OperationRequest } from '../../shared/api/operations.ts';
import { JobId, PairingId, ProtectedVmId, VmId } from '../../shared/ids.ts';
import { uuidOf } from '../support/simulated-sites.ts';

const id = JobId.parse(uuidOf('job'));
const again = { id: JobId.parse(uuidOf('again')), reason: 'again', attested: false };
const [one, two] = [ProtectedVmId.parse(uuidOf('one')), ProtectedVmId.parse(uuidOf('two'))];
const [vm1, vm2] = [VmId.parse(uuidOf('vm-1')), VmId.parse(uuidOf('vm-2'))];
const jobOf = (request: OperationRequest, state: Job['state']) => ({ endedAt: 1, state, input: { request } }) as Job;
const vms = (left: JobVms['left'], ...protectedNow: VmId[]): JobVms => ({ all: [one, two], left, protectedNow: new Set(protectedNow) });

const takeBack: OperationRequest = { id, kind: 'takeBack', target: { vms: [one, two] }, reason: 'power works' };

for (const state of ['completedWithFailures', 'cancelled'] as const) {
  test(`a job that is ${state} is run again for the VMs that were not done`, () => {
    const request = restartRequest(jobOf(takeBack, state), vms([two]), again);
    assert.deepEqual(request, { ...takeBack, id: again.id, reason: 'again', target: { vms: [two] } });
  });
}

test('where nothing was done all of it is asked for as it was', () => {
  assert.deepEqual(restartRequest(jobOf(takeBack, 'failed'), vms([one, two]), again), { ...takeBack, id: again.id, reason: 'again' });
});

test('protecting goes on with the VMs that are not protected, and not where all are', () => {
  const protect: OperationRequest = { id, kind: 'protect', pairing: PairingId.parse(uuidOf('main')), vms: [vm1, vm2] };
  const job = jobOf(protect, 'completedWithFailures');
  assert.deepEqual(restartRequest(job, vms([two], vm1), again), { ...protect, id: again.id, vms: [vm2] });
  assert.throws(() => restartRequest(job, vms([two], vm1, vm2), again), /every VM of the job is protected/);
});

const target = { vms: [one] };
const pairing = PairingId.parse(uuidOf('main'));
const then = { reason: 'the words of then' };
const emergency: OperationRequest = { id, kind: 'plannedFailover', target, direction: 'toRecovery', ...then, emergency: then };
const vouched: readonly (readonly [what: RegExp, request: OperationRequest])[] = [
  [/that nobody needs what the former primary holds/, { id, kind: 'reverseReplication', target, shutDownFormerPrimary: then }],
  [/that it is an emergency/, emergency],
  [/although a side is away/, { id, kind: 'unprotect', target, forced: then }],
  [/although a side is away/, { id, kind: 'unpair', pairing, forced: then }],
  [/although a side is away/, { id, kind: 'movePairing', pairing, to: pairing, ...then, forced: true }],
  [/that recovery points may be deleted/, { id, kind: 'changePairing', pairing, deleteRecoveryPoints: then }],
  [/that settings may differ/, { id, kind: 'adopt', pairing, vms: [vm1], differences: { do: 'keep', ...then } }],
];

for (const [what, request] of vouched) {
  test(`what a person took upon themselves is said anew, and the words of then are gone: ${request.kind} ${what.source}`, () => {
    const job = jobOf(request, 'failed');
    const both = { all: [one], left: [one], protectedNow: new Set<VmId>() };
    assert.throws(() => restartRequest(job, both, again), { code: 'ERR_OPERATION_NOT_ALLOWED', message: what });
    const asked = restartRequest(job, both, { ...again, attested: true });
    const expected = JSON.parse(JSON.stringify({ ...request, id: again.id }).replaceAll(then.reason, again.reason));
    assert.deepEqual(asked, expected);
  });
}

test('all that was vouched for is told at once', () => {
  const primary = { evidence: 'attested' as const, reason: 'seen on site' };
  const recoveryPoint = { choose: 'latest' as const };
  const request: OperationRequest = { ...emergency, kind: 'unplannedFailover', primary, recoveryPoint } as never;
  const { reason: _none, ...unplanned } = request as never as { reason: string };
  assert.throws(
    () => restartRequest(jobOf(unplanned as never, 'failed'), vms([one, two]), again),
    /vouched that the VMs are down where they are left, and that it is an emergency.*: vouch for that anew \(--attest\)/,
  );
});
