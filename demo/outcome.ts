/** Whether the story came out right: each VM of the plan runs at the recovery site, once, and is promised to be there. */
import { readFile } from 'node:fs/promises';
import type { ProtectedVmAnswer } from '../shared/api/protection.ts';
import { readDocument } from '../shared/document.ts';
import { RecoveryPlan } from '../shared/domain/recovery-plan.ts';
import type { CommandLine } from './farshore.ts';

export const PLAN_FILE = 'examples/web-shop.yaml';
const SHOWN_WITHIN_MS = 15_000;

export async function readPlanNames(): Promise<{ name: string; vms: string[] }> {
  const plan = readDocument(await readFile(PLAN_FILE, 'utf8'), PLAN_FILE, RecoveryPlan);
  return { name: plan.name, vms: plan.groups.flatMap((group) => group.members.map((member) => member.vm)) };
}

/** What is not as it should be, in words; empty when all is. */
export async function checkRecovered(farshore: CommandLine, names: readonly string[], siteName: string): Promise<string[]> {
  const until = performance.now() + SHOWN_WITHIN_MS;
  for (;;) {
    const { protectedVms } = await farshore.json<{ protectedVms: ProtectedVmAnswer[] }>(['vms', 'list']);
    const failures = names.flatMap((name) => {
      const vm = protectedVms.find((candidate) => candidate.name === name);
      return vm ? whatIsWrong(vm, siteName) : [`${name} is not a protected VM`];
    });
    // The promise is there with the end of the job; the site's next report of what runs follows within seconds.
    if (failures.length === 0 || performance.now() > until) return failures;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function whatIsWrong({ name, phase, activeLocation, recovery }: ProtectedVmAnswer, siteName: string): string[] {
  if (phase !== 'failedOver' || activeLocation !== 'recovery') return [`${name} is ${phase}, active at the ${activeLocation} site`];
  if (recovery?.siteName !== siteName || recovery.power !== 'running')
    return [`${name} is ${recovery?.power ?? 'not seen'} at ${siteName}`];
  return [];
}
