# The test copy of a replica: made, connected, started, removed. The replica goes on replicating.

function Find-TestCopy {
    <#
    .SYNOPSIS
    The test copy of a replica and its host, or nothing. The replica may be gone.
    .DESCRIPTION
    A copy is known by the note that was written to it when it was made. One that was made by hand, or whose maker died before it wrote, is
    known by its replica, which names it, and by its name.
    #>
    param([string[]]$HostName, [guid]$VMId)
    $replica = Find-Machine -HostName $HostName -VMId $VMId
    $named = $null
    if ($null -ne $replica) {
        $replication = Get-Replication -VM $replica.VM
        if ($null -ne $replication -and $null -ne $replication.TestVirtualMachine) { $named = [string]$replication.TestVirtualMachine.Id }
    }
    foreach ($name in $HostName) {
        foreach ($vm in @(Hyper-V\Get-VM -ComputerName $name)) {
            if ([string]$vm.ReplicationMode -ne 'TestReplica') { continue }
            $isOwn = ([string](Get-Note -VM $vm -Key 'copyOf')) -eq [string]$VMId -or [string]$vm.Id -eq $named
            $isByName = $null -eq (Get-Note -VM $vm -Key 'copyOf') -and $null -ne $replica -and $name -eq $replica.HostName -and $vm.Name -eq "$($replica.VM.Name) - Test"
            if ($isOwn -or $isByName) { return [pscustomobject]@{ VM = $vm; HostName = $name; Replica = $replica } }
        }
    }
}

function Get-TestCopy {
    <#
    .SYNOPSIS
    As Find-TestCopy; that there is none is an error.
    #>
    param([string[]]$HostName, [guid]$VMId)
    $copy = Find-TestCopy -HostName $HostName -VMId $VMId
    if ($null -eq $copy) { throw (New-OwnError -Code 'ERR_NO_TEST_COPY' -Message "The VM $VMId has no test copy." -Target $VMId) }
    $copy
}

function Get-FarshoreTestCopy {
    <#
    .SYNOPSIS
    The test copy of a replica, or nothing.
    .DESCRIPTION
    The recovery point is the one noted before the copy was made; of a copy made by hand it is the newest that was there by then.
    .PARAMETER HostName
    The hosts that the replica may stand on, the likeliest first.
    .PARAMETER VMId
    The id of the replica.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $copy = Find-TestCopy -HostName $HostName -VMId $VMId
    if ($null -eq $copy) { return }
    $noted = Get-Note -VM $copy.VM -Key 'copyPoint'
    if ($null -eq $noted -and $null -ne $copy.Replica) { $noted = Get-Note -VM $copy.Replica.VM -Key 'copyPoint' }
    $point = $null
    if ($null -ne $noted) {
        $parts = $noted -split '\|'
        $point = [pscustomobject]@{ id = $parts[0]; at = [long]$parts[1]; kind = $parts[2] }
    }
    elseif ($null -ne $copy.Replica) {
        $madeAt = ConvertTo-Moment -Time $copy.VM.CreationTime
        foreach ($each in @(Get-PointOfReplica -VM $copy.Replica.VM)) {
            if ($each.at -le $madeAt -and ($null -eq $point -or $each.at -gt $point.at)) { $point = [pscustomobject]@{ id = $each.id; at = $each.at; kind = $each.kind } }
        }
    }
    if ($null -eq $point) { $point = [pscustomobject]@{ id = 'unknown'; at = ConvertTo-Moment -Time $copy.VM.CreationTime; kind = 'crashConsistent' } }
    [pscustomobject]@{
        id = [string]$copy.VM.Id
        name = $copy.VM.Name
        power = [string]$copy.VM.State
        switches = [object[]]@((Get-Around -VM $copy.VM).networks)
        recoveryPoint = $point
    }
}

function Start-FarshoreTestFailover {
    <#
    .SYNOPSIS
    Makes the test copy of a replica, off and unconnected.
    .PARAMETER HostName
    The hosts that the replica may stand on, the likeliest first.
    .PARAMETER VMId
    The id of the replica.
    .PARAMETER PointId
    The recovery point; empty for the latest.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][AllowEmptyString()][string]$PointId
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/Replicating' -Needed 'a replica that is replicating'
    if ($null -ne (Find-TestCopy -HostName $HostName -VMId $VMId)) { throw (New-OwnError -Code 'ERR_TEST_COPY_EXISTS' -Message "'$($found.VM.Name)' has a test copy." -Target $found.VM.Name) }
    $point = Get-PointToUse -VM $found.VM -PointId $PointId
    $noted = "$($point.id)|$($point.at)|$($point.kind)"
    Set-Note -Found $found -Key 'copyPoint' -Value $noted
    if ($null -eq $point.snapshot) { $made = Hyper-V\Start-VMFailover -VM $found.VM -AsTest -Passthru -Confirm:$false }
    else { $made = Hyper-V\Start-VMFailover -VMRecoverySnapshot $point.snapshot -AsTest -Passthru -Confirm:$false }
    if ($null -eq $made) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Start-VMFailover -AsTest ended without an error, and gave no copy of '$($found.VM.Name)'." -Target $found.VM.Name) }
    $copy = [pscustomobject]@{ VM = @($made)[0]; HostName = $found.HostName }
    Set-Note -Found $copy -Key 'copyOf' -Value ([string]$VMId)
    Set-Note -Found $copy -Key 'copyPoint' -Value $noted
    $null = Get-TestCopy -HostName $found.HostName -VMId $VMId
}

function Connect-FarshoreTestCopy {
    <#
    .SYNOPSIS
    Connects those adapters of a test copy that a failover connects, all to one switch.
    .PARAMETER HostName
    The hosts that the replica may stand on, the likeliest first.
    .PARAMETER VMId
    The id of the replica.
    .PARAMETER SwitchName
    The switch.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][string]$SwitchName
    )
    $copy = Get-TestCopy -HostName $HostName -VMId $VMId
    Assert-Phase -VM $copy.VM -Phase (Get-Phase -VM $copy.VM) -Power 'Off' -Needed 'a test copy that is off'
    $planned = @()
    if ($null -ne $copy.Replica) {
        $planned = @(Get-PlannedSwitch -VM $copy.Replica.VM)
        # One that was the primary and has kept its place.
        if ($planned.Count -eq 0) { $planned = @((Get-Around -VM $copy.Replica.VM).networks) }
    }
    $wanted = @($planned.ForEach({ if ($_ -eq '') { '' } else { $SwitchName } }))
    Connect-Adapter -Found $copy -SwitchName $wanted
    $now = (Get-TestCopy -HostName $HostName -VMId $VMId).VM
    $i = 0
    foreach ($network in @((Get-Around -VM $now).networks)) {
        if ($i -lt $wanted.Count -and $network -ne $wanted[$i]) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "An adapter of '$($now.Name)' is not where it was connected to." -Target $now.Name) }
        $i++
    }
}

function Start-FarshoreTestVM {
    <#
    .SYNOPSIS
    Starts a test copy that is off.
    .PARAMETER HostName
    The hosts that the replica may stand on, the likeliest first.
    .PARAMETER VMId
    The id of the replica.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $copy = Get-TestCopy -HostName $HostName -VMId $VMId
    Assert-Phase -VM $copy.VM -Phase (Get-Phase -VM $copy.VM) -Power 'Off' -Needed 'a test copy that is off'
    Hyper-V\Start-VM -VM $copy.VM -Confirm:$false
    Confirm-Phase -Found $copy -Phase @() -Power 'Running', 'Starting' -After 'Start-VM'
}

function Stop-FarshoreTestFailover {
    <#
    .SYNOPSIS
    Removes the test copy, running or not.
    .DESCRIPTION
    Stop-VMFailover does it while the replica is at rest. On a replica that was failed over it would take the failover back, so there the
    copy itself is removed.
    .PARAMETER HostName
    The hosts that the replica may stand on, the likeliest first.
    .PARAMETER VMId
    The id of the replica.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $copy = Get-TestCopy -HostName $HostName -VMId $VMId
    if ($null -ne $copy.Replica -and (Get-Phase -VM $copy.Replica.VM) -eq 'Replica/Replicating') {
        Hyper-V\Stop-VMFailover -VM $copy.Replica.VM -Confirm:$false
    }
    else {
        if ([string]$copy.VM.State -ne 'Off') { Hyper-V\Stop-VM -VM $copy.VM -TurnOff -Force -Confirm:$false }
        Hyper-V\Remove-VM -VM $copy.VM -Force -Confirm:$false
    }
    if ($null -ne (Find-TestCopy -HostName $HostName -VMId $VMId)) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "'$($copy.VM.Name)' is still there." -Target $copy.VM.Name) }
    if ($null -ne $script:scvmm) { Clear-ScRecord -HostName $copy.HostName -Gone $copy.VM.Id }
    if ($null -ne $copy.Replica) { Set-Note -Found $copy.Replica -Key 'copyPoint' }
}
