# Suspending replication and resuming it, at a primary or at a replica.

function Suspend-FarshoreReplication {
    <#
    .SYNOPSIS
    A primary sends nothing from now on, a replica takes nothing.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Primary/Replicating', 'Replica/Replicating' -Needed 'a VM that replicates'
    Hyper-V\Suspend-VMReplication -VM $found.VM -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Primary/Suspended', 'Replica/Suspended' -After 'Suspend-VMReplication'
}

function Resume-FarshoreReplication {
    <#
    .SYNOPSIS
    What was suspended goes on; also a comparison of two copies, where it stopped.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Primary/Suspended', 'Replica/Suspended', 'Primary/ResynchronizeSuspended' -Needed 'a VM whose replication is suspended'
    if ((Get-Phase -VM $found.VM) -eq 'Primary/ResynchronizeSuspended') { Hyper-V\Resume-VMReplication -VM $found.VM -Continue -Confirm:$false }
    else { Hyper-V\Resume-VMReplication -VM $found.VM -Confirm:$false }
    Confirm-Phase -Found $found -Phase 'Primary/Replicating', 'Replica/Replicating', 'Primary/Resynchronizing' -After 'Resume-VMReplication'
}
