/** What is wrong with a protected VM, from promise and observation alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issuesOf as issuesOfAll, type ObservedVm, windowIssue } from '../../shared/domain/health.ts';

const sending = 'replicating';

const issuesOf = (vm: Omit<ObservedVm, 'isBehind' | 'isNewerAtSite' | 'receiving' | 'firstCopyAt'> & Partial<ObservedVm>) =>
  issuesOfAll({ isBehind: false, isNewerAtSite: false, receiving: 'replicating', firstCopyAt: null, ...vm });

test('two copies that run are an alarm in every phase', () => {
  for (const phase of ['protected', 'failingOver', 'failedOver', 'committed'] as const) {
    for (const activeLocation of ['primary', 'recovery'] as const) {
      assert.deepEqual(issuesOf({ phase, activeLocation, power: { primary: 'running', recovery: 'starting' }, sending }), [
        'twoLiveCopies',
      ]);
    }
  }
});

test('a VM that runs where it should not is an issue, unless a job is moving it', () => {
  const power = { primary: 'off', recovery: 'running' };
  assert.deepEqual(issuesOf({ phase: 'protected', activeLocation: 'primary', power, sending }), ['runsAtOtherSide']);
  assert.deepEqual(issuesOf({ phase: 'failingOver', activeLocation: 'primary', power, sending }), []);
  assert.deepEqual(issuesOf({ phase: 'failedOver', activeLocation: 'recovery', power, sending }), []);
});

test('what is not known is no alarm', () => {
  for (const primary of [null, 'unknown', 'off', 'saved'])
    assert.deepEqual(issuesOf({ phase: 'failedOver', activeLocation: 'recovery', power: { primary, recovery: 'running' }, sending }), []);
});

test('a primary that waits to be compared is an issue where it is promised that it replicates', () => {
  const at = {
    activeLocation: 'primary',
    power: { primary: 'running', recovery: 'off' },
    sending: 'waitingForStartResynchronize',
  } as const;
  assert.deepEqual(issuesOf({ phase: 'protected', ...at }), ['outOfStep']);
  assert.deepEqual(issuesOf({ phase: 'failingOver', ...at }), []);
  assert.deepEqual(issuesOf({ phase: 'protected', ...at, sending: null }), [], 'what is not known is no alarm');
});

test('replication that is off at the side that sends is an issue where it is promised', () => {
  const at = { activeLocation: 'primary', power: { primary: 'running', recovery: 'off' }, sending: 'disabled' } as const;
  assert.deepEqual(issuesOf({ phase: 'protected', ...at }), ['notReplicating']);
  for (const phase of ['enabling', 'seeding', 'disabling', 'committed', 'interrupted'] as const)
    assert.deepEqual(issuesOf({ phase, ...at }), []);
});

test('replication that is suspended is an issue at either end, where it is promised', () => {
  const at = { activeLocation: 'primary', power: { primary: 'running', recovery: 'off' } } as const;
  assert.deepEqual(issuesOf({ phase: 'protected', ...at, sending: 'suspended' }), ['suspended']);
  assert.deepEqual(issuesOf({ phase: 'protected', ...at, sending, receiving: 'suspended' }), ['replicaSuspended']);
  assert.deepEqual(issuesOf({ phase: 'protected', ...at, sending: 'suspended', receiving: 'suspended' }), [
    'suspended',
    'replicaSuspended',
  ]);
  for (const phase of ['failingOver', 'failedOver', 'committed'] as const)
    assert.deepEqual(issuesOf({ phase, ...at, sending: 'suspended' }), [], 'a failover leaves it behind');
});

test('a first copy that comes later or is carried is told while there is nothing to recover from', () => {
  const at = { activeLocation: 'primary', power: { primary: 'running', recovery: 'off' } } as const;
  const scheduled = { ...at, sending: 'readyForInitialReplication', firstCopyAt: '2026-11-28T22:00:00Z' };
  assert.deepEqual(issuesOf({ phase: 'seeding', ...scheduled }), ['firstCopyScheduled']);
  const carried = { ...at, sending: 'waitingForInitialReplication' };
  assert.deepEqual(issuesOf({ phase: 'seeding', ...carried, receiving: 'waitingForInitialReplication' }), ['firstCopyToImport']);
  assert.deepEqual(issuesOf({ phase: 'seeding', ...carried }), [], 'it was taken in');
  assert.deepEqual(issuesOf({ phase: 'enabling', ...scheduled }), []);
});

test('a VM that lacks what its pairing says tells so, beside what else is wrong, but on the way in and out', () => {
  const power = { primary: 'running', recovery: 'off' };
  const at = { activeLocation: 'primary', power, sending: 'waitingForStartResynchronize', isBehind: true } as const;
  assert.deepEqual(issuesOf({ ...at, phase: 'protected' }), ['outOfStep', 'behindPairing']);
  assert.deepEqual(issuesOf({ ...at, phase: 'committed' }), ['behindPairing']);
  for (const phase of ['enabling', 'disabling'] as const) assert.deepEqual(issuesOf({ ...at, phase }), []);
});

test('that a site knows more than the control plane is told first, whatever else is wrong', () => {
  const at = { activeLocation: 'primary', sending: 'replicating', isBehind: false, isNewerAtSite: true } as const;
  assert.deepEqual(issuesOf({ ...at, phase: 'protected', power: { primary: 'running', recovery: 'off' } }), ['newerAtSite']);
  assert.deepEqual(issuesOf({ ...at, phase: 'protected', power: { primary: 'running', recovery: 'running' } }), [
    'newerAtSite',
    'twoLiveCopies',
  ]);
});

test('a failover that was to take itself back is an issue when it cannot, and for good when it lapsed', () => {
  assert.equal(windowIssue({ lapsed: null, reason: '' }), null);
  assert.deepEqual(windowIssue({ lapsed: null, reason: 'a job holds it' }), { issue: 'takeBackDelayed', why: 'a job holds it' });
  assert.deepEqual(windowIssue({ lapsed: 'a job held it', reason: '' }), { issue: 'takeBackLapsed', why: 'a job held it' });
});
