/** Options that say which VMs a command is about, and what they mean in this vault. */
import type { Command } from 'commander';
import type { Target } from '../../shared/api/operations.ts';
import { FarshoreError } from '../../shared/errors.ts';
import type { Client } from './client.ts';
import { findVms } from './commands/protection-commands.ts';
import { byNameOrId, pick } from './names.ts';
import { wholeNumber } from './whole-number.ts';

export interface TargetOptions {
  readonly plan?: string;
  readonly vm: readonly string[];
  readonly planVersion?: number;
}

export const withTarget = (command: Command) =>
  command
    .option('--plan <plan>', 'all members of a recovery plan')
    .option('--plan-version <n>', 'another version of it than the newest', wholeNumber)
    .option('--vm <vm>', 'a VM; once for each', (vm: string, all: readonly string[]) => [...all, vm], []);

/** Throws ERR_REQUEST_INVALID unless exactly one of both was given. */
export async function targetOf(client: Client, { plan, vm, planVersion }: TargetOptions): Promise<Target> {
  if ((plan === undefined) === (vm.length === 0)) throw new FarshoreError('ERR_REQUEST_INVALID', 'say either --plan or --vm');
  if (plan === undefined && planVersion !== undefined) throw new FarshoreError('ERR_REQUEST_INVALID', '--plan-version is for --plan');
  if (plan === undefined) return { vms: await findVms(client, vm) };
  return { plan: (await findPlan(client, plan)).id, ...(planVersion !== undefined && { version: planVersion }) };
}

export async function findPlan(client: Client, wanted: string) {
  const { plans } = await client.call('listPlans');
  return pick(wanted, plans, 'plan', byNameOrId);
}
