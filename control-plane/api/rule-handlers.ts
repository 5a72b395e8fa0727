/** Handlers: protection rules. What a rule would do is judged by the same rule of the domain that the keeper acts by. */
import type { RuleAnswer, ruleRoutes } from '../../shared/api/rules.ts';
import { isSameTag, judge, matchText, TAGS_MOST, tagsNamed } from '../../shared/domain/protection-rules.ts';
import { FarshoreError } from '../../shared/errors.ts';
import { type PairingId, RuleId, type VaultId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { readSurroundings, ruleVm } from '../operations/rule-surroundings.ts';
import type { Pairing } from '../store/promise-store.ts';
import type { ProtectionRule } from '../store/rule-store.ts';
import type { ApiPorts, Handlers } from './handler.ts';

export function ruleHandlers({ store, bell, clock, random }: ApiPorts): Handlers<keyof typeof ruleRoutes> {
  return {
    async listRules({ caller: { vaultId } }) {
      const pairings = new Map((await store.promises.pairings(vaultId)).map((pairing) => [pairing.id, pairing.name]));
      const users = await userNames(vaultId);
      return { rules: (await store.rules.list(vaultId)).map((rule) => ruleAnswer(rule, pairings.get(rule.pairingId) ?? '', users)) };
    },

    async addRule({ caller, body }) {
      const { vaultId } = caller;
      const pairing = await findPairing(vaultId, body.pairing);
      const named = await tagsOfRules(vaultId);
      if (body.match.by === 'tag' && !isAmong(body.match.tag, named) && named.length >= TAGS_MOST)
        throw new FarshoreError('ERR_CONFLICT', `the rules of a vault name ${TAGS_MOST} tags at most: remove rules by tag first`);
      const rule: ProtectionRule = {
        id: RuleId.parse(random.uuid()),
        vaultId,
        pairingId: pairing.id,
        match: body.match,
        createdAt: clock.now(),
        createdBy: caller.user.id,
        removedAt: null,
        removedBy: null,
      };
      await store.rules.add(rule);
      bell.ring(vaultId, { type: 'rules' });
      return ruleAnswer(rule, pairing.name, await userNames(vaultId));
    },

    async removeRule({ caller, params }) {
      const isRemoved = await store.rules.remove(caller.vaultId, params.ruleId, clock.now(), caller.user.id);
      if (!isRemoved) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such rule, or it was removed before');
      bell.ring(caller.vaultId, { type: 'rules' });
    },

    async previewRule({ caller: { vaultId }, body }) {
      const { primary } = await findPairing(vaultId, body.pairing);
      const surroundings = await readSurroundings(vaultId, store, clock.now());
      const vms = (await store.observations.vms(vaultId, primary)).flatMap(({ report }) => {
        const { ref, name } = report;
        const judged = judge(ruleVm(report), body.match, surroundings);
        if (judged === null) return [];
        const { verdict, why } = judged;
        return [{ vmId: ref.vmId, name, verdict, why, until: judged.verdict === 'waits' ? isoMoment(judged.until) : null }];
      });
      const isTold = body.match.by !== 'tag' || isAmong(body.match.tag, await tagsOfRules(vaultId));
      return { vms: vms.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })), isTold };
    },

    async listRuleExclusions({ caller: { vaultId } }) {
      const exclusions = await store.rules.exclusions(vaultId);
      return { exclusions: exclusions.map(({ vmId, name, at, by, jobId }) => ({ vmId, name, at: isoMoment(at), by, jobId })) };
    },

    async excludeFromRules({ caller: { vaultId, user }, params: { vmId } }) {
      const [seen] = await store.observations.vms(vaultId, { vmIds: [vmId] });
      if (seen === undefined) throw new FarshoreError('ERR_NOT_FOUND', 'no site reports such a VM');
      await store.rules.exclude({ vaultId, vmId, name: seen.report.name, at: clock.now(), by: user.name, jobId: null });
    },

    async liftRuleExclusion({ caller: { vaultId }, params: { vmId } }) {
      if (!(await store.rules.lift(vaultId, vmId))) throw new FarshoreError('ERR_NOT_FOUND', 'this VM is not out of the reach of rules');
      bell.ring(vaultId, { type: 'rules' });
    },
  };

  async function findPairing(vaultId: VaultId, id: PairingId): Promise<Pairing> {
    const pairing = await store.promises.findPairing(vaultId, id);
    if (pairing === null) throw new FarshoreError('ERR_NOT_FOUND', 'there is no such pairing');
    return pairing;
  }

  async function tagsOfRules(vaultId: VaultId): Promise<string[]> {
    return tagsNamed((await store.rules.list(vaultId)).flatMap(({ match, removedAt }) => (removedAt === null ? [match] : [])));
  }

  async function userNames(vaultId: VaultId): Promise<Map<string, string>> {
    return new Map((await store.accounts.users(vaultId)).map(({ id, name }) => [id, name]));
  }
}

const isAmong = (tag: string, tags: readonly string[]): boolean => tags.some((other) => isSameTag(other, tag));

function ruleAnswer(rule: ProtectionRule, pairing: string, users: ReadonlyMap<string, string>): RuleAnswer {
  const { id, pairingId, match, createdAt, createdBy, removedAt, removedBy } = rule;
  return {
    id,
    pairing: { id: pairingId, name: pairing },
    match,
    text: matchText(match),
    createdAt: isoMoment(createdAt),
    createdBy: users.get(createdBy) ?? '',
    removedAt: removedAt === null ? null : isoMoment(removedAt),
    removedBy: removedBy === null ? null : (users.get(removedBy) ?? ''),
  };
}
