# Failover of a replica, with its primary prepared or not, taking it back, and giving up the way back.

function Initialize-FarshoreFailover {
    <#
    .SYNOPSIS
    A primary that is off sends what its replica lacks, and cannot be started from then on.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Primary/Replicating' -Power 'Off' -Needed 'a primary that is off and replicating'
    Hyper-V\Start-VMFailover -VM $found.VM -Prepare -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Primary/PreparedForFailover' -After 'Start-VMFailover -Prepare'
}

function Get-PlannedSwitch {
    <#
    .SYNOPSIS
    The switches that a failover connects a replica to, one for each adapter; nothing where none were written down.
    .DESCRIPTION
    A VM that was the primary goes back to where it stood.
    #>
    param([object]$VM)
    $text = Get-Note -VM $VM -Key 'ownPlan'
    if ($null -eq $text) { $text = Get-Note -VM $VM -Key 'plan' }
    if ($null -ne $text) { ConvertFrom-NameList -Text $text }
}

function Start-FarshoreFailover {
    <#
    .SYNOPSIS
    A replica becomes the VM, off and connected as planned.
    .DESCRIPTION
    It is connected before it is failed over: a replica at rest cannot be started, so whatever ends in between harms nothing. What SCVMM makes of a
    replica at rest is in no source, so there it is looked at once more, and again before the VM is started.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER PointId
    The recovery point; empty for the latest.
    .PARAMETER Command
    Whose work it is: noted with the point before anything is done.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][AllowEmptyString()][string]$PointId,
        [Parameter(Mandatory = $true)][string]$Command
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/Replicating', 'Replica/Suspended' -Needed 'a replica that is replicating or suspended'
    $snapshot = $null
    $point = Get-PointToUse -VM $found.VM -PointId $PointId
    if ($PointId -ne '') { $snapshot = $point.snapshot }
    Set-Note -Found $found -Key 'failover' -Value "$($point.id)|$($point.at)|$($point.kind)|$Command"
    $switches = @(Get-PlannedSwitch -VM $found.VM)
    if ($switches.Count -gt 0 -and $null -ne $script:scvmm) { Connect-ScReplicaAtRest -Found $found -NetworkId $switches }
    elseif ($switches.Count -gt 0) { Connect-Adapter -Found $found -SwitchName $switches }
    if ($null -eq $snapshot) { Hyper-V\Start-VMFailover -VM $found.VM -Confirm:$false }
    else { Hyper-V\Start-VMFailover -VMRecoverySnapshot $snapshot -Confirm:$false }
    Confirm-Phase -Found $found -Phase 'Replica/FailedOverWaitingCompletion' -Power 'Off' -After 'Start-VMFailover'
    if ($null -ne $script:scvmm -and $switches.Count -gt 0) { Connect-Adapter -Found $found -SwitchName $switches }
}

function Stop-FarshoreFailover {
    <#
    .SYNOPSIS
    Takes a failover back: the replica goes off and replicates again, a prepared primary replicates again.
    .DESCRIPTION
    What Stop-VMFailover does beside a test copy is in no source, so the copy has to go first.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/FailedOverWaitingCompletion', 'Primary/PreparedForFailover' -Needed 'a failover that was begun and not completed'
    $isReplica = [string]$found.VM.ReplicationMode -eq 'Replica'
    if ($isReplica -and $null -ne (Find-TestCopy -HostName $found.HostName -VMId $VMId)) {
        throw (New-OwnError -Code 'ERR_TEST_COPY_EXISTS' -Message "'$($found.VM.Name)' has a test copy; clean up its drill first." -Target $found.VM.Name)
    }
    Hyper-V\Stop-VMFailover -VM $found.VM -Confirm:$false
    if (-not $isReplica) { return Confirm-Phase -Found $found -Phase 'Primary/Replicating' -After 'Stop-VMFailover' }
    Confirm-Phase -Found $found -Phase 'Replica/Replicating' -Power 'Off' -After 'Stop-VMFailover'
    Set-Note -Found $found -Key 'failover'
    if (@(Get-PlannedSwitch -VM $found.VM).Count -gt 0) { Connect-Adapter -Found $found -SwitchName @() }
}

function Complete-FarshoreFailover {
    <#
    .SYNOPSIS
    Gives up all recovery points of a replica that was failed over, and the way back.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/FailedOverWaitingCompletion' -Needed 'a replica that was failed over and not completed'
    Hyper-V\Complete-VMFailover -VM $found.VM -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Replica/FailedOver' -After 'Complete-VMFailover'
}
