# Reading: what stands on a host, one VM, its recovery points, its test copy, who is on a switch.

function ConvertTo-ReplicationView {
    <#
    .SYNOPSIS
    How a VM replicates, as the agent reads it; nothing where it does not.
    #>
    param([object]$Replication, [object]$FailoverType)
    if ($null -eq $Replication) { return $null }
    $vssHours = $null
    if ($Replication.VSSSnapshotReplicationEnabled) { $vssHours = $Replication.VSSSnapshotFrequencyHour }
    [pscustomobject]@{
        copyFrequencySeconds = $Replication.ReplicationFrequencySec
        recoveryHistory = $Replication.RecoveryHistory
        vssHours = $vssHours
        compression = $Replication.CompressionEnabled
        authentication = [string]$Replication.AuthenticationType
        lastReplicationAt = ConvertTo-Moment -Time $Replication.LastReplicationTime
        firstCopyAt = ConvertTo-Moment -Time $Replication.InitialReplicationStartTime
        failoverType = [string]$FailoverType
    }
}

function Get-FailoverType {
    <#
    .SYNOPSIS
    How the replicas of a host were failed over, by their ids.
    #>
    param([string]$HostName)
    $types = @{}
    foreach ($each in @(Hyper-V\Measure-VMReplication -ComputerName $HostName -ReplicationMode Replica)) { $types[[string]$each.VMId] = [string]$each.FailedOverReplicationType }
    $types
}

function ConvertTo-View {
    <#
    .SYNOPSIS
    A VM as the agent reads it.
    #>
    param([object]$VM, [string]$HostName, [object]$Replication, [object]$FailoverType)
    $around = Get-Around -VM $VM
    [pscustomobject]@{
        id = [string]$VM.Id
        name = $VM.Name
        host = $HostName
        power = [string]$VM.State
        mode = [string]$VM.ReplicationMode
        state = [string]$VM.ReplicationState
        health = [string]$VM.ReplicationHealth
        switches = [object[]]@($around.networks)
        addresses = [object[]]@(@($VM.NetworkAdapters).ForEach({ , [object[]]@($_.IPAddresses) }))
        tags = [object[]]@($around.tags)
        notes = [object[]]@(Get-Note -VM $VM)
        replication = ConvertTo-ReplicationView -Replication $Replication -FailoverType $FailoverType
    }
}

function Test-FailedOver {
    <#
    .SYNOPSIS
    Whether a replica was failed over; only then does it have a kind of failover.
    #>
    param([object]$VM)
    [string]$VM.ReplicationState -in 'FailedOverWaitingCompletion', 'FailedOver'
}

function Get-FarshoreInventory {
    <#
    .SYNOPSIS
    The switches and the VMs of one host; test copies are left out.
    .PARAMETER HostName
    The host.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName)
    $replications = @{}
    foreach ($each in @(Hyper-V\Get-VMReplication -ComputerName $HostName)) {
        if ([string]$each.ReplicationRelationshipType -eq 'Simple') { $replications[[string]$each.VMId] = $each }
    }
    $vms = @(Hyper-V\Get-VM -ComputerName $HostName).Where({ [string]$_.ReplicationMode -ne 'TestReplica' })
    $failovers = @{}
    if ($vms.Where({ Test-FailedOver -VM $_ }, 'First').Count -gt 0) { $failovers = Get-FailoverType -HostName $HostName }
    [pscustomobject]@{
        switches = [object[]]@(@(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({ [pscustomobject]@{ name = $_.Name; type = [string]$_.SwitchType } }))
        vms = [object[]]@($vms.ForEach({ ConvertTo-View -VM $_ -HostName $HostName -Replication $replications[[string]$_.Id] -FailoverType $failovers[[string]$_.Id] }))
    }
}

function Get-FarshoreVM {
    <#
    .SYNOPSIS
    One VM as it is now, or nothing.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Find-Machine -HostName $HostName -VMId $VMId
    if ($null -eq $found -or [string]$found.VM.ReplicationMode -eq 'TestReplica') { return }
    $failoverType = $null
    if (Test-FailedOver -VM $found.VM) { $failoverType = [string]@(Hyper-V\Measure-VMReplication -VM $found.VM)[0].FailedOverReplicationType }
    ConvertTo-View -VM $found.VM -HostName $found.HostName -Replication (Get-Replication -VM $found.VM) -FailoverType $failoverType
}

function Get-PointOfReplica {
    <#
    .SYNOPSIS
    The recovery points of a replica. The latest is no checkpoint where no others are kept: it has an id made of its moment.
    #>
    param([object]$VM)
    if ([string]$VM.ReplicationMode -ne 'Replica' -or [string]$VM.ReplicationState -eq 'FailedOver') { return }
    [long]$newest = -1
    foreach ($each in @(Hyper-V\Get-VMSnapshot -VM $VM)) {
        if ([string]$each.SnapshotType -notin 'Replica', 'AppConsistentReplica', 'SyncedReplica') { continue }
        $kind = 'crashConsistent'
        if ([string]$each.SnapshotType -eq 'AppConsistentReplica') { $kind = 'applicationConsistent' }
        $at = ConvertTo-Moment -Time $each.CreationTime
        if ($at -gt $newest) { $newest = $at }
        [pscustomobject]@{ id = [string]$each.Id; at = $at; kind = $kind; snapshot = $each }
    }
    $last = ConvertTo-Moment -Time (Get-Replication -VM $VM).LastReplicationTime
    if ($null -ne $last -and $last -gt $newest) { [pscustomobject]@{ id = "latest@$last"; at = $last; kind = 'crashConsistent'; snapshot = $null } }
}

function Get-PointToUse {
    <#
    .SYNOPSIS
    The recovery point of that id, without one the latest.
    #>
    param([object]$VM, [string]$PointId)
    $chosen = $null
    foreach ($each in @(Get-PointOfReplica -VM $VM)) {
        $isBetter = $PointId -eq '' -and ($null -eq $chosen -or $each.at -gt $chosen.at)
        if ($isBetter -or $each.id -eq $PointId) { $chosen = $each }
    }
    if ($null -eq $chosen) { throw (New-OwnError -Code 'ERR_NO_RECOVERY_POINT' -Message "'$($VM.Name)' has no recovery point '$PointId'." -Target $VM.Name) }
    $chosen
}

function Get-FarshoreRecoveryPoint {
    <#
    .SYNOPSIS
    The recovery points of a VM; none where it is no replica.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Find-Machine -HostName $HostName -VMId $VMId
    $points = @()
    if ($null -ne $found) { $points = @(@(Get-PointOfReplica -VM $found.VM).ForEach({ [pscustomobject]@{ id = $_.id; at = $_.at; kind = $_.kind } })) }
    [pscustomobject]@{ points = [object[]]$points }
}
