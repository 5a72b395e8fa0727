/** What an end of protection by force, or a move, left to be done must not hit a protection that began after it. */
import { FarshoreError } from '../../shared/errors.ts';
import type { StepId } from '../../shared/ids.ts';
import type { Store } from '../store/store.ts';
import type { JobRun } from './job-run.ts';

/** Throws ERR_PROTECTED_ANEW. Whoever is faster than this is stopped at the site, by the epoch of the newer protection. */
export async function refuseIfProtectedAnew({ job, engine }: JobRun, id: StepId, { promises }: Store): Promise<void> {
  if (job.kind !== 'unprotect' && job.kind !== 'movePairing') return;
  const step = engine.state.view(id)?.step;
  const args = step?.work?.args;
  const ref = args && 'vm' in args ? args.vm : undefined;
  const anew = ref && (await promises.protectedVms(job.vaultId)).find((vm) => vm.vmId === ref.vmId && vm.id !== step?.scope);
  if (anew) throw new FarshoreError('ERR_PROTECTED_ANEW', `${anew.name} is protected again, and the step would end that`);
}
