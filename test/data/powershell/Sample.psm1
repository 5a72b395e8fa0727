<#
.SYNOPSIS
What the static check is tried on beside our own modules: it has every construct that a mutation needs, and nothing that the check finds.
#>
Set-StrictMode -Version 3.0


function Set-SampleReplication {
    <#
    .SYNOPSIS
    Changes how a VM replicates.
    .PARAMETER VM
    The VM.
    .PARAMETER Setting
    What to change.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][object]$VM, [object]$Setting)
    $change = @{ ReplicationFrequencySec = 300; CompressionEnabled = $true; AuthenticationType = 'Certificate' }
    if ($null -ne $Setting.history) { $change['RecoveryHistory'] = [int]$Setting.history }
    $change.CertificateThumbprint = [string]$Setting.thumbprint
    Hyper-V\Set-VMReplication -VM $VM @change -Confirm:$false
    Hyper-V\Set-VMReplicationServer -ReplicationEnabled $true -AllowedAuthenticationType Certificate -Force -Confirm:$false
    $state = [string](Hyper-V\Get-VMReplication -VM $VM).ReplicationState
    ConvertTo-SampleText -Value ([pscustomobject]@{ state = $state; share = [System.Math]::Round(0.5) })
}

function ConvertTo-SampleText {
    <#
    .SYNOPSIS
    As one line of text.
    .PARAMETER Value
    What to write.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, ValueFromPipeline = $true)][object]$Value)
    process { ConvertTo-Json -InputObject $Value -Depth 4 -Compress }
}

function Stop-SampleFailover {
    <#
    .SYNOPSIS
    Takes a failover back, or gives up the way back.
    .PARAMETER VM
    The VM.
    .PARAMETER Ends
    Whether it ends.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][object]$VM, [switch]$Ends)
    if ($Ends) { Hyper-V\Complete-VMFailover -VM $VM -Confirm:$false }
    else { Hyper-V\Stop-VMFailover -VM $VM -Confirm:$false }
    $work = { param($Name) Enable-NetFirewallRule -DisplayName $Name }
    $null = Invoke-Command -ComputerName $VM.ComputerName -ScriptBlock $work -ArgumentList 'rule'
    Get-SCVirtualMachine -ID $VM.Id -VMMServer $VM.ComputerName | Read-SCVirtualMachine
}

Export-ModuleMember -Function '*-Sample*'
