/** The checks of a site with SCVMM: whether it answers and has the clouds of `agent.yaml`; then, of the hosts that it tells, those of any site. */
import type { Clock } from '../../../shared/ports.ts';
import type { CheckFinding, SiteCheck } from '../site-check.ts';
import type { FactReader } from './check-facts.ts';
import { hyperVChecks } from './hyperv-checks.ts';
import type { HyperVCloud } from './hyperv-config.ts';
import type { ScvmmAddress } from './powershell-process.ts';

const MODULE = 'VirtualMachineManager';

export async function scvmmChecks(read: FactReader, { server, port }: ScvmmAddress, clock: Clock): Promise<SiteCheck[]> {
  const check = { check: 'hyperv.scvmm', subject: `${server}:${port}` };
  const only = (finding: CheckFinding): SiteCheck => ({ name: `${check.check} ${check.subject}`, run: async () => [finding] });
  try {
    const { modules } = await read.computer([MODULE]);
    if (modules.length === 0)
      return [
        only({
          ...check,
          state: 'missing',
          found: `this computer has no module ${MODULE}`,
          cause: 'SCVMM is asked by the cmdlets of its console.',
          remedy: 'Install the console of SCVMM, of the version of the server, on this computer.',
        }),
        ...hyperVChecks(read, [], clock),
      ];
    const clouds = await read.clouds();
    return [only({ ...check, state: 'ok', found: clouds.map(told).join('; ') }), ...hyperVChecks(read, clouds, clock)];
  } catch (thrown) {
    const found = thrown instanceof Error ? thrown.message : String(thrown);
    return [
      only({
        ...check,
        state: 'missing',
        found,
        cause: 'Without SCVMM nothing can be read or changed at this site.',
        remedy: `Look whether ${server} is up and its service runs, whether the account has a role there, and whether agent.yaml names its clouds as they are called.`,
      }),
      ...hyperVChecks(read, [], clock),
    ];
  }
}

const told = ({ name, hosts, cluster }: HyperVCloud) =>
  `the cloud '${name}' has ${hosts.length} hosts${cluster === null ? '' : ` (${cluster})`}`;
