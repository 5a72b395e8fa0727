/** What one call of the Hyper-V fabric takes beside the bare cmdlet in the same PowerShell: a program for the benchmark, which says what it found. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostArguments } from '../../../provider-agent/fabric/hyperv/open-hyperv.ts';
import { findPowerShell, type PowerShell } from '../powershell/powershell.ts';
import { openEmulatedPair } from './pair.ts';
import { configOf, startEmulatedPowerShell } from './powershell-fabric.ts';

const CALLS = 400;
const LIMIT_MS = 5;

/** A module with the real one in it, and a function that times the bare cmdlet. */
const timing = `Import-Module -Name '${hostArguments()[3]}'
function Measure-FarshoreBareCmdlet {
  param([string[]]$HostName, [guid]$VMId, [int]$Count)
  $times = for ($i = 0; $i -lt $Count; $i++) {
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $null = Hyper-V\\Get-VM -Id $VMId -ComputerName $HostName[0]
    $watch.Elapsed.TotalMilliseconds
  }
  [pscustomobject]@{ times = [object[]]$times }
}
Export-ModuleMember -Function '*-Farshore*'
`;

const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

const found = await findPowerShell();
if (typeof found === 'string') console.log(`SKIPPED: calls. ${found}`);
else await measureCalls(found);

async function measureCalls(powerShell: PowerShell): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'farshore-bench-'));
  const module = join(folder, 'Timing.psm1');
  writeFileSync(module, timing);
  const emulated = await startEmulatedPowerShell(powerShell, { module });
  const pair = await openEmulatedPair(emulated);
  try {
    const [{ vmId }] = pair.vms;
    const host = (await pair.primary.fabric.hostOf(pair.vms[0])) ?? '';
    const given = { HostName: [host, ...(configOf(pair.sites.primary, []).clouds[0]?.hosts ?? [])], VMId: vmId };
    const call = (name: string, extra: object = {}) =>
      emulated.host.call({ function: name, arguments: { ...given, ...extra }, limitMs: 60_000 });
    const timed = async () => {
      const times: number[] = [];
      for (let i = 0; i < CALLS; i++) {
        const begun = performance.now();
        await call('Get-FarshoreVM');
        times.push(performance.now() - begun);
      }
      return median(times);
    };
    const bareOnce = async () => median(((await call('Measure-FarshoreBareCmdlet', { Count: CALLS })) as { times: number[] }).times);
    await timed();
    await bareOnce();
    const [fabric, bare] = [await timed(), await bareOnce()];
    const isKept = fabric - bare <= LIMIT_MS;
    console.log(
      `one call of the fabric ${fabric.toFixed(2)} ms, the bare cmdlet ${bare.toFixed(2)} ms: ${(fabric - bare).toFixed(2)} ms more at the median of ${CALLS}, ${((fabric - bare) / LIMIT_MS).toFixed(2)} of the limit. ${isKept ? 'kept' : 'MISSED'}`,
    );
    if (!isKept) process.exitCode = 1;
  } finally {
    await pair.close();
    await emulated.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
