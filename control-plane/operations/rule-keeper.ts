/**
 * Keeps the protection rules: when the inventory changes, when something comes due and on start, it looks which VMs the rules
 * take now, and starts ordinary protect jobs for them. It remembers nothing itself. The id of a job comes from what is in it, and
 * the store counts the attempt in the transaction that opens the job, so a crash at any moment makes neither two jobs nor none.
 */
import { judge, matchText, ON_THE_WAY_MOST } from '../../shared/domain/protection-rules.ts';
import { toFarshoreError } from '../../shared/errors.ts';
import type { JobId, VaultId, VmId } from '../../shared/ids.ts';
import type { Pairing } from '../store/promise-store.ts';
import type { ProtectionRule } from '../store/rule-store.ts';
import { derivedJobId } from './derived-job-id.ts';
import type { ByRule, Operations, Presence } from './operations.ts';
import { readSurroundings, ruleVm, type Surroundings } from './rule-surroundings.ts';
import { VaultWatch, type VaultWatchPorts } from './vault-watch.ts';

/** After a refusal that passes, such as of a site that is gone. */
const AGAIN_AFTER_MS = 60_000;

export interface RuleKeeperPorts extends VaultWatchPorts {
  readonly presence: Presence;
  readonly operations: Pick<Operations, 'start'>;
}

export class RuleKeeper {
  readonly #ports: RuleKeeperPorts;
  readonly #watch: VaultWatch;

  constructor(ports: RuleKeeperPorts) {
    this.#ports = ports;
    this.#watch = new VaultWatch(ports, 'protection rules', (vaultId) => this.#apply(vaultId));
  }

  begin(): Promise<void> {
    return this.#watch.begin();
  }

  stop(): void {
    this.#watch.stop();
  }

  async #apply(vaultId: VaultId): Promise<number | null> {
    const { store, clock } = this.#ports;
    const rules = (await store.rules.list(vaultId)).filter(({ removedAt }) => removedAt === null);
    if (rules.length === 0) return null;
    const surroundings = await readSurroundings(vaultId, store, clock.now());
    for (const exclusion of surroundings.cancelled) await store.rules.exclude(exclusion);
    const waits: number[] = [];
    for (const [pairingId, ofPairing] of Map.groupBy(rules, (rule) => rule.pairingId)) {
      const pairing = await store.promises.findPairing(vaultId, pairingId);
      if (pairing === null || !this.#isReady(pairing)) continue;
      const onTheWay = surroundings.protectedVms.filter(
        (vm) => vm.pairingId === pairingId && (vm.phase === 'enabling' || vm.phase === 'seeding'),
      );
      waits.push(...(await this.#applyTo(pairing, ofPairing, ON_THE_WAY_MOST - onTheWay.length, surroundings)));
    }
    return waits.length === 0 ? null : Math.min(...waits);
  }

  #isReady({ state, replicaAddresses, primary, recovery }: Pairing): boolean {
    const { presence } = this.#ports;
    return (
      state === 'paired' && replicaAddresses.recovery !== null && [primary, recovery].every(({ siteId }) => presence.isConnected(siteId))
    );
  }

  /** The first rule that takes a VM has it. */
  async #applyTo(pairing: Pairing, rules: readonly ProtectionRule[], room: number, surroundings: Surroundings): Promise<number[]> {
    const seen = await this.#ports.store.observations.vms(pairing.vaultId, pairing.primary);
    const taken = new Set<VmId>();
    const waits: number[] = [];
    for (const rule of rules) {
      const vms = seen.flatMap(({ report }): ByRule['vms'] => {
        const { ref, name } = report;
        const judged = judge(ruleVm(report), rule.match, surroundings);
        if (judged?.verdict === 'waits') waits.push(judged.until - surroundings.now);
        if (judged?.verdict !== 'takes' || taken.has(ref.vmId) || taken.size >= room) return [];
        taken.add(ref.vmId);
        return [{ vmId: ref.vmId, name, why: judged.why }];
      });
      if (vms.length > 0 && !(await this.#start(pairing, rule, vms, surroundings))) waits.push(AGAIN_AFTER_MS);
    }
    return waits;
  }

  /** False where it was refused for now. */
  async #start({ id: pairing, vaultId }: Pairing, rule: ProtectionRule, vms: ByRule['vms'], { tried }: Surroundings) {
    const { operations, log } = this.#ports;
    const match = matchText(rule.match);
    const id = jobIdOf(
      rule,
      vms.map(({ vmId }) => [vmId, tried.get(vmId)?.jobId ?? '']),
    );
    try {
      const request = { id, kind: 'protect', pairing, vms: vms.map(({ vmId }) => vmId) } as const;
      await operations.start(request, { vaultId, name: `rule: ${match}` }, { rule: rule.id, match, vms });
      log.info({ ruleId: rule.id, jobId: id, vms: vms.length }, 'a rule protects VMs');
      return true;
    } catch (error) {
      // Somebody was faster, or a site has gone: what is to be done then is found by the next look.
      log.warn({ err: toFarshoreError(error), ruleId: rule.id }, 'a rule could not protect VMs now');
      return false;
    }
  }
}

/** The same VMs after the same earlier jobs are the same job: whoever starts it twice starts it once. */
function jobIdOf({ id, pairingId }: ProtectionRule, vms: readonly (readonly [VmId, string])[]): JobId {
  return derivedJobId(JSON.stringify([id, pairingId, vms]));
}
