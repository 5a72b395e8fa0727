/** The scripts that Farshore ships for sites, run by the real PowerShell engine. What only Windows has stands in as a stub that writes down how it was called. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { findPowerShell, type PowerShell, withFile } from '../support/powershell/powershell.ts';

const folder = join(import.meta.dirname, '../../site-scripts');
const found = await findPowerShell();
const skip = typeof found === 'string' ? found : false;
const shell = found as PowerShell;

const run = (name: string, input: unknown, stubs = '') =>
  withFile(stubs, (prelude) => shell.run(join(folder, name), [], JSON.stringify(input), { prelude }));
const hostile = `x'; "$(throw 'ran')"; Remove-Item C:\\ #`;

describe('Wait-Port.ps1', { skip }, () => {
  test('waits for a port that opens, and gives up on one that does not', async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const open = await run('Wait-Port.ps1', { parameters: { host: '127.0.0.1', port } });
    assert.deepEqual([open.code, open.errors], [0, '']);
    assert.match(open.output, /takes a connection/);
    const shut = await run('Wait-Port.ps1', { parameters: { host: '127.0.0.1', port: 1, withinSeconds: 1 } });
    assert.equal(shut.code, 1, shut.errors);
    assert.match(shut.output, /has not taken a connection within 1 s/);
  });
});

describe('Start-SiteService.ps1', { skip }, () => {
  const service = (status: string) => `
    $script:stubService = [pscustomobject]@{ Status = '${status}' }
    $script:stubService | Add-WaitForStatus
    function Get-Service { param([string]$ComputerName, [string]$Name) "get $ComputerName $Name" | Write-Call; $script:stubService }
    function Start-Service { param($InputObject) 'start' | Write-Call; $InputObject.Status = 'Running' }`;
  const stubs = (status: string) => `
    filter Write-Call { [Console]::Out.WriteLine("called: $_") }
    filter Add-WaitForStatus {
      $_.PSObject.Methods.Add([System.Management.Automation.PSScriptMethod]::new('WaitForStatus', { param($status, $time) if ($this.Status -ne $status) { throw 'time is over' } }))
    }
    ${service(status)}`;

  test('starts what does not run, and leaves alone what does', async () => {
    const input = { parameters: { computer: 'app-01', service: hostile } };
    const started = await run('Start-SiteService.ps1', input, stubs('Stopped'));
    assert.deepEqual([started.code, started.errors], [0, '']);
    assert.deepEqual(calls(started.output), [`get app-01 ${hostile}`, 'start'], 'a value is never read as a command');
    const running = await run('Start-SiteService.ps1', input, stubs('Running'));
    assert.deepEqual([running.code, calls(running.output)], [0, [`get app-01 ${hostile}`]]);
  });

  test('fails when the service does not come up in time', async () => {
    const neverUp = stubs('Stopped').replace("$InputObject.Status = 'Running'", '');
    const run1 = await run('Start-SiteService.ps1', { parameters: { computer: 'a', service: 'b' } }, neverUp);
    assert.equal(run1.code, 1);
    assert.match(run1.errors, /time is over/);
  });
});

describe('Update-DnsRecord.ps1', { skip }, () => {
  const stubs = (...there: readonly string[]) => `
    filter Write-Call { [Console]::Out.WriteLine("called: $_") }
    function Get-DnsServerResourceRecord { [CmdletBinding()] param([string]$ComputerName, [string]$ZoneName, [string]$Name, [string]$RRType)
      @(${there.map((address) => `'${address}'`).join(', ')}).ForEach({ [pscustomobject]@{ RecordData = [pscustomobject]@{ IPv4Address = [System.Net.IPAddress]::Parse($_) } } }) }
    function Add-DnsServerResourceRecordA { param([string]$ComputerName, [string]$ZoneName, [string]$Name, [System.Net.IPAddress[]]$IPv4Address, [timespan]$TimeToLive)
      "add $ComputerName $ZoneName $Name $IPv4Address $($TimeToLive.TotalSeconds)" | Write-Call }
    function Remove-DnsServerResourceRecord { param([string]$ComputerName, [string]$ZoneName, $InputObject, [switch]$Force)
      "remove $($InputObject.RecordData.IPv4Address) $Force" | Write-Call }`;
  const input = (parameters: object, addresses: readonly string[] = []) => ({
    parameters: { server: 'dc-01', zone: 'shop.example', name: 'www', ...parameters },
    vms: [
      { name: 'web-01', addresses: [] },
      { name: 'web-02', addresses },
    ],
  });

  test('leads the name to the first address of the VMs: the new record first, then the old ones go', async () => {
    const moved = await run('Update-DnsRecord.ps1', input({}, ['10.2.0.7']), stubs('10.1.0.7', '10.1.0.8'));
    assert.deepEqual([moved.code, moved.errors], [0, '']);
    assert.deepEqual(calls(moved.output), ['add dc-01 shop.example www 10.2.0.7 60', 'remove 10.1.0.7 True', 'remove 10.1.0.8 True']);
  });

  test('changes nothing where the name leads there already, and makes one that is not there yet', async () => {
    assert.deepEqual(calls((await run('Update-DnsRecord.ps1', input({ address: '10.2.0.7' }), stubs('10.2.0.7'))).output), []);
    const fresh = await run('Update-DnsRecord.ps1', input({ address: '10.2.0.7', ttlSeconds: 5 }), stubs());
    assert.deepEqual(calls(fresh.output), ['add dc-01 shop.example www 10.2.0.7 5']);
  });

  test('changes nothing without an address', async () => {
    for (const wrong of [input({}), input({ address: hostile })]) {
      const { code, output, errors } = await run('Update-DnsRecord.ps1', wrong, stubs('10.1.0.7'));
      assert.deepEqual([code, calls(output)], [1, []]);
      assert.match(errors, /there is no address/);
    }
  });
});

describe('Switch-AvailabilityGroup.ps1', { skip }, () => {
  const stubs = (role: string, isReady: boolean, becomes = 'Primary') => `
    filter Write-Call { [Console]::Out.WriteLine("called: $_") }
    function Encode-SqlName { param([string]$Name) $Name.Replace('\\', '%5C').Replace('/', '%2F') }
    $script:stubGroup = [pscustomobject]@{ LocalReplicaRole = '${role}'; DatabaseReplicaStates = @(
      [pscustomobject]@{ IsLocal = $true; IsFailoverReady = $${isReady}; AvailabilityDatabaseName = 'shop' },
      [pscustomobject]@{ IsLocal = $false; IsFailoverReady = $false; AvailabilityDatabaseName = 'shop' }) }
    $script:stubGroup.PSObject.Methods.Add([System.Management.Automation.PSScriptMethod]::new('Refresh', { }))
    function Get-Item { param([string]$LiteralPath) "look $LiteralPath" | Write-Call; $script:stubGroup }
    function Switch-SqlAvailabilityGroup { [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')] param([string]$Path, [switch]$AllowDataLoss, [switch]$Force)
      if ($PSCmdlet.ShouldProcess($Path)) { "switch $Path $AllowDataLoss $Force" | Write-Call; $script:stubGroup.LocalReplicaRole = '${becomes}' } }`;
  const input = (mode: 'planned' | 'forced', secondary = 'SQL-S\\SHOP', waitSeconds = 1) => ({
    channel: { name: 'shop/ag', mode, primary: 'SQL-R\\SHOP', secondary },
    parameters: { waitSeconds },
  });
  const path = 'SQLSERVER:\\Sql\\SQL-S\\SHOP\\AvailabilityGroups\\shop%2Fag';

  test('fails over as planned when nothing would be lost', async () => {
    const { code, output, errors } = await run('Switch-AvailabilityGroup.ps1', input('planned'), stubs('Secondary', true));
    assert.deepEqual([code, errors], [0, '']);
    assert.deepEqual(calls(output), [`look ${path}`, `switch ${path} False False`, `look ${path}`]);
    assert.match(output, /shop\/ag is primary at SQL-S\\SHOP \(planned\)/);
  });

  test('refuses a planned failover that would lose data, and forces one that has to be', async () => {
    const refused = await run('Switch-AvailabilityGroup.ps1', input('planned'), stubs('Secondary', false));
    assert.deepEqual([refused.code, calls(refused.output)], [2, [`look ${path}`]]);
    assert.match(refused.output, /not synchronized at SQL-S\\SHOP: shop/);
    const forced = await run('Switch-AvailabilityGroup.ps1', input('forced'), stubs('Resolving', false));
    assert.deepEqual([forced.code, forced.errors], [0, '']);
    assert.ok(calls(forced.output).includes(`switch ${path} True True`));
  });

  test('leaves alone what has failed over already, also at an instance without a name', async () => {
    const { code, output } = await run('Switch-AvailabilityGroup.ps1', input('planned', 'SQL-S'), stubs('Primary', true));
    assert.deepEqual([code, calls(output)], [0, ['look SQLSERVER:\\Sql\\SQL-S\\DEFAULT\\AvailabilityGroups\\shop%2Fag']]);
  });

  test('fails when the role does not change', async () => {
    const { code, errors } = await run('Switch-AvailabilityGroup.ps1', input('planned'), stubs('Secondary', true, 'Resolving'));
    assert.equal(code, 1);
    assert.match(errors, /is not primary at SQL-S\\SHOP after 1 s/);
  });
});

function calls(output: string): string[] {
  return output.split(/\r?\n/).flatMap((line) => (line.startsWith('called: ') ? [line.slice(8)] : []));
}
