import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  allowedOperations,
  applyEvent,
  operationPhases,
  otherSide,
  PHASES,
  type Phase,
  phases,
  transitions,
  VM_OPERATIONS,
  type VmEvent,
  type VmLife,
} from '../../shared/domain/protected-vm.ts';

const events = [...new Set(transitions.map(({ on }) => on))];
const atTarget: readonly Phase[] = ['failedOver', 'committed', 'reversing'];
/** In any phase, replicating either way; it runs where its phase says. */
const anyVm = fc
  .record({ phase: fc.constantFrom(...PHASES), replicatesFrom: fc.constantFrom('primary' as const, 'recovery' as const) })
  .map(({ phase, replicatesFrom }): VmLife => {
    const activeLocation = atTarget.includes(phase) ? otherSide(replicatesFrom) : replicatesFrom;
    return { phase, replicatesFrom, activeLocation };
  });

const maybe = (id: string) => fc.option(fc.constant(id), { nil: null });
const besideACopy = ['plannedFailover', 'unplannedFailover', 'cleanUpTest', 'suspend', 'resume'];

describe('the life of a protected VM', () => {
  test('is one table: of one phase and one event there is one row', () => {
    const keys = transitions.map(({ from, on }) => `${from} ${on}`);
    assert.equal(new Set(keys).size, keys.length);
    for (const { from, to, why } of transitions) {
      assert.ok(from in phases && (to === null || to in phases));
      assert.ok(why.length > 10, 'every row says why');
    }
  });

  test('reaches every phase from enabling, and can end from every phase', () => {
    const reachedFrom = (start: Phase): Set<Phase | null> => {
      const reached = new Set<Phase | null>([start]);
      for (const at of reached) for (const row of transitions) if (row.from === at) reached.add(row.to);
      return reached;
    };
    const fromBirth = reachedFrom('enabling');
    for (const phase of PHASES) {
      assert.ok(fromBirth.has(phase), `${phase} is reached`);
      assert.ok(reachedFrom(phase).has(null), `${phase} has a way out`);
    }
  });

  test('takes the events of its table and refuses every other', () =>
    fc.assert(
      fc.property(anyVm, fc.constantFrom(...events), (vm, event: VmEvent) => {
        const row = transitions.find(({ from, on }) => from === vm.phase && on === event);
        if (!row) return assert.throws(() => applyEvent(vm, event), { code: 'ERR_OPERATION_NOT_ALLOWED' });
        assert.equal(applyEvent(vm, event)?.phase ?? null, row.to);
      }),
    ));

  test('changes the side it runs on only when a replica was started, or a failover was taken back, left or kept', () =>
    fc.assert(
      fc.property(anyVm, fc.array(fc.constantFrom(...events), { maxLength: 12 }), (vm, some) => {
        let now: ReturnType<typeof applyEvent> = vm;
        for (const event of some) {
          if (now === null || !transitions.some(({ from, on }) => from === now?.phase && on === event)) continue;
          const before: VmLife = now;
          now = applyEvent(before, event);
          // What was broken off is left where its site says that it runs.
          const left = before.phase === 'interrupted' ? ['failoverCommitted'] : [];
          if (now !== null && now.activeLocation !== before.activeLocation)
            assert.ok(
              (now.activeLocation === now.replicatesFrom ? ['failoverUndone'] : ['replicaStarted', 'takeBackGivenUp', ...left]).includes(
                event,
              ),
              `${event} changed it`,
            );
          if (now !== null && now.replicatesFrom !== before.replicatesFrom) {
            assert.equal(event, 'replicationReversed');
            assert.equal(now.replicatesFrom, now.activeLocation, 'from then on the side that runs sends');
          }
        }
      }),
    ));

  test('an operation is allowed exactly in its phases, while no job works on the VM, and beside a test copy only failovers, suspending, resuming and its clean-up; else the reason is told', () =>
    fc.assert(
      fc.property(anyVm, maybe('job-1'), maybe('drill-1'), (vm, busyWith, drill) => {
        const allowances = allowedOperations({ ...vm, busyWith, drill });
        assert.deepEqual(
          allowances.map(({ operation }) => operation),
          [...VM_OPERATIONS],
        );
        for (const { operation, isAllowed, reason } of allowances) {
          const from: readonly Phase[] = operationPhases[operation];
          const fitsDrill = drill === null ? operation !== 'cleanUpTest' : besideACopy.includes(operation);
          assert.equal(isAllowed, busyWith === null && from.includes(vm.phase) && fitsDrill);
          assert.equal(reason === '', isAllowed);
        }
      }),
    ));
});
