/** How protected VMs replicate, as a table. */
import type { ProtectedVmAnswer } from '../../shared/api/protection.ts';
import type { MeasureReport } from '../../shared/protocol/egress.ts';
import { duration, moment, type Output, plain, table } from './output.ts';

interface MeasuredVm {
  readonly name: string;
  readonly measure: MeasureReport | null;
}

/** Of the side that replicates. */
export function measureIn(vm: Pick<ProtectedVmAnswer, 'replicatesFrom' | 'primary' | 'recovery'>): MeasureReport | null {
  return vm[vm.replicatesFrom]?.measure ?? null;
}

export function measureTable(vms: readonly MeasuredVm[], { colors }: Output): string {
  const rows = vms.map(({ name, measure }) => [plain(name), ...(measure === null ? Array<string>(8).fill('-') : cells(measure))]);
  const heads = ['VM', 'CYCLES', 'MISSED', 'ERRORS', 'AVG SIZE', 'MAX SIZE', 'PENDING', 'AVG / MAX LATENCY', 'SINCE'];
  return table(heads, rows, 'no protected VMs; protect some with: farshore protect', colors);
}

function cells({ cycles, missed, errors, since, ...measured }: MeasureReport): string[] {
  const { averageBytes, maximumBytes, pendingBytes, averageLatencyMs, maximumLatencyMs } = measured;
  const latency = [averageLatencyMs, maximumLatencyMs].map((ms) => (ms === null ? '-' : duration(ms / 1000))).join(' / ');
  const sizes = [averageBytes, maximumBytes, pendingBytes].map(size);
  return [...[cycles, missed, errors].map(String), ...sizes, latency, since === null ? '-' : moment(since)];
}

function size(bytes: number | null): string {
  return bytes === null ? '-' : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
