/** Commands: VMs that replicate already are listed, with what differs from the policy, and adopted. */
import type { Command } from 'commander';
import type { AdoptableVmAnswer } from '../../../shared/api/adoption.ts';
import type { OperationRequestOf } from '../../../shared/api/operations.ts';
import { FarshoreError } from '../../../shared/errors.ts';
import { addLeaf, type Tree } from '../leaf.ts';
import { pick } from '../names.ts';
import { type Output, plain, table } from '../output.ts';
import { type FollowOptions, runOperation, withFollow } from '../run-operation.ts';
import { findPairing } from './pairing-commands.ts';

interface AdoptOptions extends FollowOptions {
  readonly all: boolean;
  readonly keepDifferences?: string;
  readonly bringToPolicy: boolean;
}

export function addAdoptionCommands(tree: Tree, program: Command): void {
  addLeaf(tree, program, {
    usage: 'adoptable',
    about: 'list the VMs that replicate by Hyper-V Replica and are not protected, and what differs from the policy',
    examples: ['farshore adoptable', 'farshore adoptable --json'],
    run: async (session) => {
      session.output.show(await session.client().call('listAdoptableVms'), (answer) => adoptableTable(answer.adoptableVms, session.output));
      return undefined;
    },
  });
  addLeaf(tree, program, {
    usage: 'adopt <pairing> [vms...]',
    about: 'protect VMs that replicate already, as they are: no new copy is made, their recovery points are kept',
    examples: [
      'farshore adopt main web-01 web-02',
      'farshore adopt main --all',
      'farshore adopt main sql-01 --keep-differences "the line is thin: every 15 minutes is enough"',
      'farshore adopt main --all --bring-to-policy',
    ],
    configure: (command) =>
      withFollow(
        command
          .option('--all', 'every VM that this pairing can adopt', false)
          .option('--keep-differences <reason>', 'settings that are not those of the policy stay as they are: why that is right')
          .option('--bring-to-policy', 'settings that are not those of the policy are changed to it', false),
      ),
    run: async (session, options: AdoptOptions, wanted: string, names: readonly string[]) => {
      if (options.all === names.length > 0) throw new FarshoreError('ERR_REQUEST_INVALID', 'name the VMs, or say --all');
      const client = session.client();
      const pairing = await findPairing(client, wanted);
      const { adoptableVms } = await client.call('listAdoptableVms');
      const here = adoptableVms.filter((vm) => vm.pairing?.id === pairing.id);
      const chosen = options.all
        ? here.filter(({ isAdoptable }) => isAdoptable)
        : names.map((name) => pick(name, here, 'VM that replicates between these clouds', (vm) => [vm.name, vm.vmId]));
      if (chosen.length === 0)
        throw new FarshoreError('ERR_REQUEST_INVALID', `no VM can be adopted by ${plain(pairing.name)} now; see why: farshore adoptable`);
      const differences = differencesWish(options);
      const vms = chosen.map(({ vmId }) => vmId);
      return runOperation(session, client, { kind: 'adopt', pairing: pairing.id, vms, ...(differences && { differences }) }, options);
    },
  });
}

function differencesWish({ keepDifferences: reason, bringToPolicy }: AdoptOptions): OperationRequestOf<'adopt'>['differences'] {
  if (reason === undefined) return bringToPolicy ? { do: 'bringToPolicy' } : undefined;
  if (bringToPolicy) throw new FarshoreError('ERR_REQUEST_INVALID', 'say either --keep-differences or --bring-to-policy');
  return { do: 'keep', reason };
}

function adoptableTable(vms: readonly AdoptableVmAnswer[], { colors }: Output): string {
  const place = (seen: AdoptableVmAnswer['replica']) => (seen === null ? '-' : plain(`${seen.siteName}/${seen.cloudName}`));
  const rows = vms.map((vm) => [
    plain(vm.name),
    place(vm.primary),
    place(vm.replica),
    vm.pairing === null ? '-' : plain(vm.pairing.name) + (vm.replicatesFrom === 'recovery' ? ' (in reverse)' : ''),
    vm.isAdoptable ? differencesText(vm) : colors.yellow(vm.obstacle),
  ]);
  return table(['VM', 'PRIMARY', 'REPLICA', 'PAIRING', 'ADOPTING IT'], rows, 'no VM replicates that is not protected already', colors);
}

function differencesText({ differences }: AdoptableVmAnswer): string {
  if (differences.length === 0) return 'as it is';
  return `differs: ${differences.map(({ setting, is, policy }) => `${setting} ${is} (policy: ${policy})`).join(', ')}`;
}
