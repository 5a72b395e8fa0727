# What is done to a VM itself: shut down, started, deleted, its epoch written; whether its guest answers and under which addresses.

function Stop-FarshoreVM {
    <#
    .SYNOPSIS
    The guest of a VM that runs shuts itself down.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase (Get-Phase -VM $found.VM) -Power 'Running' -Needed 'a VM that runs'
    Hyper-V\Stop-VM -VM $found.VM -Force -Confirm:$false
    Confirm-Phase -Found $found -Phase @() -Power 'Off', 'Stopping' -After 'Stop-VM'
}

function Start-FarshoreVM {
    <#
    .SYNOPSIS
    Starts a VM that is off, and is neither a replica at rest nor a primary that is prepared for a failover.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    $phase = Get-Phase -VM $found.VM
    $mayStart = switch ([string]$found.VM.ReplicationMode) {
        'None' { $true }
        'Primary' { $phase -ne 'Primary/PreparedForFailover' }
        default { $phase -in 'Replica/FailedOverWaitingCompletion', 'Replica/FailedOver' }
    }
    $allowed = @()
    if ($mayStart) { $allowed = @($phase) }
    Assert-Phase -VM $found.VM -Phase $allowed -Power 'Off' -Needed 'a VM that is off, no replica at rest and not prepared for a failover'
    if ($null -ne $script:scvmm -and [string]$found.VM.ReplicationMode -eq 'Replica') {
        $planned = @(Get-PlannedSwitch -VM $found.VM)
        if ($planned.Count -gt 0 -and ($planned -join ' ') -ne ((Get-Around -VM $found.VM).networks -join ' ')) { Connect-Adapter -Found $found -SwitchName $planned }
    }
    Hyper-V\Start-VM -VM $found.VM -Confirm:$false
    Confirm-Phase -Found $found -Phase @() -Power 'Running', 'Starting' -After 'Start-VM'
}

function Remove-FarshoreVM {
    <#
    .SYNOPSIS
    Deletes a VM that is off and does not replicate. The files of its disks stay where they are.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'None/Disabled' -Power 'Off' -Needed 'a VM that is off and does not replicate'
    if ($found.VM.IsClustered) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "'$($found.VM.Name)' is a role of a cluster; remove the role there first." -Target $found.VM.Name) }
    if ($null -ne $script:scvmm) { foreach ($adapter in @((Get-ScMachine -VM $found.VM).VirtualNetworkAdapters)) { Clear-ScAddress -Adapter $adapter } }
    Hyper-V\Remove-VM -VM $found.VM -Force -Confirm:$false
    if ($null -ne (Find-Machine -HostName $found.HostName -VMId $VMId)) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Remove-VM ended without an error, and '$($found.VM.Name)' is still there." -Target $found.VM.Name) }
    if ($null -ne $script:scvmm) { Clear-ScRecord -HostName $found.HostName -Gone $VMId }
}

function Set-FarshoreEpoch {
    <#
    .SYNOPSIS
    Writes the epoch of a VM at this cloud into its notes. Never lowers it.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Place
    The cloud: notes may travel with a replica, and the epoch of another place must not count here.
    .PARAMETER Epoch
    The number.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][string]$Place,
        [Parameter(Mandatory = $true)][long]$Epoch
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    $key = "epoch/$Place"
    $before = Get-Note -VM $found.VM -Key $key
    if ($null -ne $before -and [long]$before -ge $Epoch) { return }
    Set-Note -Found $found -Key $key -Value ([string]$Epoch)
}

function Test-FarshoreGuest {
    <#
    .SYNOPSIS
    Whether the guest of a VM answers now, by its heartbeat.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id, or that of a test copy.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $vm = (Get-Machine -HostName $HostName -VMId $VMId).VM
    [string]$vm.State -eq 'Running' -and [string]$vm.Heartbeat -in 'OkApplicationsUnknown', 'OkApplicationsHealthy', 'OkApplicationsCritical'
}

function Get-FarshoreAddress {
    <#
    .SYNOPSIS
    The addresses that a VM has, or those that a failover gives it.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $vm = (Get-Machine -HostName $HostName -VMId $VMId).VM
    $addresses = @()
    foreach ($adapter in @(Hyper-V\Get-VMNetworkAdapter -VM $vm)) { $addresses += @($adapter.IPAddresses) }
    if ($addresses.Count -eq 0 -and [string]$vm.ReplicationMode -ne 'None') {
        foreach ($setting in @(Hyper-V\Get-VMNetworkAdapterFailoverConfiguration -VM $vm)) { $addresses += @($setting.IPv4Address, $setting.IPv6Address) }
    }
    [pscustomobject]@{ addresses = [object[]]@($addresses.Where({ -not [string]::IsNullOrEmpty($_) })) }
}
