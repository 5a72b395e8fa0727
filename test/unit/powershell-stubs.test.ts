/** The stub cmdlets in the real engine: they bind, ask and fail as the contract says, and what they are called with reaches the model as data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CmdletCall, type CmdletHandler, startModelServer } from '../support/powershell/model-server.ts';
import { findPowerShell, type PowerShell } from '../support/powershell/powershell.ts';

const found = await findPowerShell();
const skip = typeof found === 'string' ? found : false;
const shell = found as PowerShell;

const vm = {
  $type: 'VirtualMachine',
  $ref: { host: 'hv-01', id: 7 },
  Name: 'web',
  State: 'Off',
  Id: '11111111-2222-3333-4444-555555555555',
};
const virtual = 'Microsoft.HyperV.PowerShell';

/** Every line is a statement; what it gives or the identity of its error is one line of the answer. */
async function statements(lines: readonly string[], handler: CmdletHandler = () => ({})): Promise<{ told: string[]; calls: CmdletCall[] }> {
  const calls: CmdletCall[] = [];
  const model = await startModelServer((call) => {
    calls.push(call);
    return handler(call);
  });
  try {
    const script = `$ErrorActionPreference = 'Stop'
Import-Module Hyper-V, VirtualMachineManager, NetSecurity
$seen = $null
${lines.map((line) => `try { ${line} } catch { "$($_.FullyQualifiedErrorId) | $($_.CategoryInfo.Category)" }`).join('\n')}`;
    const run = await shell.runText(script, '', { model });
    assert.deepEqual([run.code, run.errors], [0, '']);
    return { told: run.output.trim().split(/\r?\n/), calls };
  } finally {
    await model.close();
  }
}

const getVm: CmdletHandler = ({ cmdlet }) => (cmdlet === 'Get-VM' ? { objects: [vm] } : {});

describe('a stub cmdlet', { skip }, () => {
  test('refuses what the real one would refuse to bind', async () => {
    const { told, calls } = await statements([
      'Start-VMFailover -VMName a -Wrong',
      'Start-VMFailover -VMName a -AsTest -Prepare',
      'Hyper-V\\Get-VMReplication -ReplicationState Sometimes',
      'Set-VMReplication -VMName a -ReplicationFrequencySec 20',
      'Set-VMReplication -VMName a -AuthenticationType Basic',
      'Start-VM -VM web',
      'Set-VMReplication -ReplicaServerName b -AsReplica',
      'New-VMSwitch -Name s -SwitchType External',
    ]);
    const commands = `${virtual}.Commands`;
    assert.deepEqual(told, [
      `NamedParameterNotFound,${commands}.StartVMFailoverCommand | InvalidArgument`,
      `AmbiguousParameterSet,${commands}.StartVMFailoverCommand | InvalidArgument`,
      `CannotConvertArgumentNoMessage,${commands}.GetVMReplicationCommand | InvalidArgument`,
      `ParameterArgumentValidationError,${commands}.SetVMReplicationCommand | InvalidData`,
      `CannotConvertArgumentNoMessage,${commands}.SetVMReplicationCommand | InvalidArgument`,
      `CannotConvertArgumentNoMessage,${commands}.StartVMCommand | InvalidArgument`,
      `MissingMandatoryParameter,${commands}.SetVMReplicationCommand | InvalidArgument`,
      `ParameterArgumentValidationError,${commands}.NewVMSwitchCommand | InvalidData`,
    ]);
    assert.deepEqual(calls, []);
  });

  test('that prompts fails where nobody is there, and goes on when told not to', async () => {
    const { told, calls } = await statements([
      'Start-VMFailover -VMName a -Prepare',
      'Start-VMFailover -VMName a -Prepare -Confirm:$false; "done"',
      'Stop-VMFailover -VMName a; "done"',
      'Stop-VMFailover -VMName b -WhatIf; "done"',
    ]);
    assert.deepEqual(told, [
      `HostFunctionNotImplemented,${virtual}.Commands.StartVMFailoverCommand | NotImplemented`,
      'done',
      'done',
      'done',
    ]);
    assert.deepEqual(
      calls.map(({ cmdlet, parameters }) => [cmdlet, parameters]),
      [
        ['Start-VMFailover', { VMName: ['a'], Prepare: true }],
        ['Stop-VMFailover', { VMName: ['a'] }],
      ],
    );
  });

  test('gives objects of the real types: an enum is a number for JSON and a name for a text', async () => {
    const { told } = await statements(
      [
        '$seen = Get-VM -Name web; $seen.GetType().FullName',
        '"$($seen.State) $([int]$seen.State) $($seen.Id.GetType().Name) $($seen.Uptime.TotalSeconds) [$($seen.Notes)]"',
        '@{ state = $seen.State } | ConvertTo-Json -Compress',
        '[Microsoft.HyperV.PowerShell.VirtualMachine]@{ Name = "made" }',
      ],
      getVm,
    );
    assert.deepEqual(told.slice(0, 3), [`${virtual}.VirtualMachine`, 'Off 3 Guid 0 []', '{"state":3}']);
    assert.match(told[3] ?? '', /CannotCreate|InvalidCast|Conver/);
  });

  test('hands an object of the model back as a reference, by parameter and by pipeline', async () => {
    const { calls } = await statements(
      ['$seen = Get-VM', 'Stop-VM -VM $seen -Force', '$seen, $seen | Start-VM', "'a' | Suspend-VMReplication"],
      getVm,
    );
    const reference = { $type: `${virtual}.VirtualMachine`, $ref: vm.$ref };
    assert.deepEqual(
      calls.slice(1).map(({ cmdlet, parameterSet, parameters }) => [cmdlet, parameterSet, parameters]),
      [
        ['Stop-VM', 'VMObject', { VM: [reference], Force: true }],
        ['Start-VM', 'VMObject', { VM: [reference] }],
        ['Start-VM', 'VMObject', { VM: [reference] }],
        ['Suspend-VMReplication', 'VMName', { VMName: ['a'] }],
      ],
    );
  });

  test('fails with the record that the model orders', async () => {
    const error = {
      id: 'InvalidOperation',
      category: 'InvalidOperation',
      message: 'no',
      exception: 'VirtualizationOperationFailedException',
    };
    const { told } = await statements(
      [
        'Reset-VMReplicationStatistics -VMName a',
        'try { Resume-VMReplication -VMName a } catch { "$_ $($_.Exception.GetType().FullName)" }',
        'Resume-VMReplication -VMName a -ErrorAction SilentlyContinue; "goes on"',
      ],
      () => ({ error }),
    );
    assert.deepEqual(told, [
      `InvalidOperation,${virtual}.Commands.ResetVMReplicationStatisticsCommand | InvalidOperation`,
      `no ${virtual}.VirtualizationOperationFailedException`,
      'goes on',
    ]);
  });

  test('takes values as data: times, spans, secrets, tables, and objects of which no list tells the properties', async () => {
    const adapter = {
      $type: 'VirtualNetworkAdapter',
      $ref: 'nic',
      Name: 'a',
      Status: { $type: 'VMComputerSystemState', $value: 'PowerOff' },
    };
    const { told, calls } = await statements(
      [
        "Set-VMReplication -VMName a -InitialReplicationStartTime ([datetime]'2026-01-02T03:04:05Z') -AutoResynchronizeIntervalStart ([timespan]'01:00')",
        '$seen = Get-SCVirtualNetworkAdapter -All; "$($seen.Status) $([int]$seen.Status)"',
        'Set-SCVirtualNetworkAdapter -VirtualNetworkAdapter $seen -IPv4AddressType Static',
        "Set-NetFirewallRule -DisplayName 'a' -Enabled True",
      ],
      ({ cmdlet }) => (cmdlet.startsWith('Get-SC') ? { objects: [adapter] } : {}),
    );
    assert.deepEqual(told, ['PowerOff 1']);
    assert.deepEqual(
      calls.map(({ parameters }) => parameters),
      [
        { VMName: ['a'], InitialReplicationStartTime: '2026-01-02T03:04:05.0000000Z', AutoResynchronizeIntervalStart: '01:00:00' },
        { All: true },
        {
          VirtualNetworkAdapter: { $type: 'Microsoft.SystemCenter.VirtualMachineManager.VirtualNetworkAdapter', $ref: 'nic' },
          IPv4AddressType: 'Static',
        },
        { DisplayName: ['a'], Enabled: 'True' },
      ],
    );
  });

  test('says so when the model fails or gives what no real object has', async () => {
    const { told } = await statements(['Get-VM', 'try { Get-VM b } catch { "$_" }'], ({ parameters }) => {
      if (parameters.Name === undefined) throw new Error('mistake');
      return { objects: [{ ...vm, Colour: 'red' }] };
    });
    assert.equal(told[0], `ModelFailed,${virtual}.Commands.GetVMCommand | NotSpecified`);
    assert.match(told[1] ?? '', /VirtualMachine\.Colour, which that type does not have/);
  });
});

describe('JSON in our own host', { skip: skip === false && !shell.isOurs ? 'the PowerShell of this machine has its own' : skip }, () => {
  const script = `$deep = @{ a = @{ b = @{ c = @{ d = 1 } } } }
ConvertTo-Json -Compress $deep
@(7) | ConvertTo-Json -Compress
ConvertTo-Json -Compress -InputObject @(7)
ConvertTo-Json -Compress @{ day = [System.DayOfWeek]::Friday; at = [datetime]'2026-01-02T03:04:05Z'; text = "<a>'" }
'[1,2]' | ConvertFrom-Json | ForEach-Object { "$($_.GetType().Name)" }
('{"at":"2026-01-02T03:04:05Z","n":1}' | ConvertFrom-Json).PSObject.Properties.ForEach({ $_.Value.GetType().Name }) -join ' '`;

  test('has the habits of Windows PowerShell 5.1, or of PowerShell 7 when told so', async () => {
    const lines = async (edition: 'Desktop' | 'Core'): Promise<string[]> =>
      (await shell.runText(script, '', { edition })).output.trim().split(/\r?\n/);
    const desktop = await lines('Desktop');
    const core = await lines('Core');
    assert.deepEqual(desktop.slice(0, 3), ['{"a":{"b":{"c":"System.Collections.Hashtable"}}}', '7', '[7]']);
    assert.deepEqual(core.slice(0, 3), desktop.slice(0, 3));
    for (const part of ['"day":5', '"at":"\\/Date(1767323045000)\\/"', '"text":"\\u003ca\\u003e\\u0027"'])
      assert.ok(desktop[3]?.includes(part), desktop[3]);
    assert.ok(core[3]?.includes(`"text":"<a>'"`), core[3]);
    assert.deepEqual(desktop.slice(4), ['Object[]', 'String Int32']);
    assert.deepEqual(core.slice(4), ['Int64', 'Int64', 'DateTime Int64']);
  });
});
