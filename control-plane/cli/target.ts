/** Options that say which VMs a command is about, and what they mean in this vault. */
import type { Command } from 'commander';
import type { Target } from '../../shared/api/operations.ts';
import type { ProtectedVmAnswer } from '../../shared/api/protection.ts';
import { textsOf } from '../../shared/domain/plan-members.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { Client } from './client.ts';
import { byNameOrId, pick } from './names.ts';
import { wholeNumber } from './whole-number.ts';

export interface TargetOptions {
  readonly plan?: string;
  readonly vm: readonly string[];
  readonly planVersion?: number;
  readonly only: readonly string[];
}

export const withTarget = (command: Command) =>
  command
    .option('--plan <plan>', 'all members of a recovery plan')
    .option('--plan-version <n>', 'another version of it than the newest', wholeNumber)
    .option('--only <vm>', 'of its members this one; once for each', oneMore, [])
    .option('--vm <vm>', 'a VM, in place of a plan; once for each', oneMore, []);

const oneMore = (text: string, all: readonly string[]) => [...all, text];

export const withReason = (command: Command) => command.requiredOption('--reason <text>', REASON);
/** Where nothing is lost and nobody has to answer for it. */
export const withReasonIfAny = (command: Command) => command.option('--reason <text>', REASON);
const REASON = 'why; kept with the job';

/** Throws ERR_REQUEST_INVALID unless exactly one of both was given. */
export async function targetOf(client: Client, { plan, vm, planVersion, only }: TargetOptions): Promise<Target> {
  if ((plan === undefined) === (vm.length === 0)) throw new FarshoreError('ERR_REQUEST_INVALID', 'say either --plan or --vm');
  if (plan === undefined && planVersion !== undefined) throw new FarshoreError('ERR_REQUEST_INVALID', '--plan-version is for --plan');
  if (plan === undefined && only.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', '--only is for --plan');
  if (plan === undefined) return { vms: await findVms(client, vm) };
  return {
    plan: (await findPlan(client, plan)).id,
    ...(planVersion !== undefined && { version: planVersion }),
    ...(only.length > 0 && { only: await findVms(client, only) }),
  };
}

export async function findPlan(client: Client, wanted: string) {
  const { plans } = await client.call('listPlans');
  return pick(wanted, plans, 'plan', byNameOrId);
}

export async function findVms(client: Client, names: readonly string[]) {
  const { protectedVms } = await client.call('listProtectedVms', { query: {} });
  const pairings = new Map((await client.call('listPairings')).pairings.map(({ id, primary }) => [id, primary]));
  const namesOf = ({ name, id, pairing }: ProtectedVmAnswer) => {
    const { siteName, cloudName } = pairings.get(pairing.id) ?? { siteName: '', cloudName: '' };
    return textsOf({ id, name, siteName, cloudName });
  };
  return names.map((name) => pick(name, protectedVms, 'protected VM', namesOf).id);
}
