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

function Measure-Replication {
    <#
    .SYNOPSIS
    What a host counts of the VMs that replicate on it, by their ids.
    #>
    param([string]$HostName)
    $measured = @{}
    foreach ($each in @(Hyper-V\Measure-VMReplication -ComputerName $HostName)) {
        if ([string]$each.ReplicationRelationshipType -eq 'Simple') { $measured[[string]$each.VMId] = $each }
    }
    $measured
}

function Get-FailoverType {
    <#
    .SYNOPSIS
    How a replica was failed over; nothing of a VM that was not measured.
    #>
    param([object]$Measured)
    if ($null -ne $Measured) { [string]$Measured.FailedOverReplicationType }
}

function ConvertTo-Measure {
    <#
    .SYNOPSIS
    How the cycles of a primary went, as the agent reads it.
    #>
    param([object]$Measured)
    if ($null -eq $Measured -or [string]$Measured.ReplicationMode -ne 'Primary') { return $null }
    [pscustomobject]@{
        since = ConvertTo-Moment -Time $Measured.MonitoringStartTime
        cycles = $Measured.SuccessfulReplicationCount
        missed = $Measured.MissedReplicationCount
        errors = $Measured.ReplicationErrors
        averageBytes = $Measured.AverageReplicationSize
        maximumBytes = $Measured.MaximumReplicationSize
        pendingBytes = $Measured.PendingReplicationSize
        averageLatencyMs = ConvertTo-Millisecond -Span $Measured.AverageReplicationLatency
        maximumLatencyMs = ConvertTo-Millisecond -Span $Measured.MaximumReplicationLatency
    }
}

function ConvertTo-Millisecond {
    <#
    .SYNOPSIS
    A span of time in milliseconds; nothing for nothing.
    #>
    param([object]$Span)
    if ($null -eq $Span) { return $null }
    [long][System.Math]::Round(([timespan]$Span).TotalMilliseconds)
}

function Get-Stamp {
    <#
    .SYNOPSIS
    A short text that is another one where what is told is another.
    #>
    param([object]$Told)
    $bytes = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -Compress -Depth 8 -InputObject $Told))
    $sha = [System.Security.Cryptography.SHA256]::Create()
    [System.Convert]::ToBase64String($sha.ComputeHash($bytes), 0, 12)
    $sha.Dispose()
}

function Select-Difference {
    <#
    .SYNOPSIS
    Of what would be told, what the agent does not know, and which of the stamps that it knows fit nothing any more.
    .DESCRIPTION
    What is counted of a primary changes all the time: it is no part of the stamp, and is read only where a primary is told.
    #>
    param([object[]]$Told, [string]$Known, [hashtable]$Measured, [string]$HostName)
    $gone = [System.Collections.Generic.HashSet[string]]::new([string[]]$Known.Split(' '))
    $null = $gone.Remove('')
    $news = @($Told.Where({
                $_.stamp = Get-Stamp -Told $_
                -not $gone.Remove($_.stamp)
            }))
    $primaries = @($news.Where({ $_.mode -eq 'Primary' }))
    if ($primaries.Count -gt 0 -and $Measured.Count -eq 0) { $Measured = Measure-Replication -HostName $HostName }
    foreach ($each in $primaries) { $each.measure = ConvertTo-Measure -Measured $Measured[$each.id] }
    [pscustomobject]@{ told = [object[]]$news; gone = @($gone) -join ' ' }
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
        stamp = ''
        measure = $null
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
    The switches of one host and those of its VMs that the agent does not know as they are; test copies are left out.
    .PARAMETER HostName
    The host.
    .PARAMETER Known
    The stamps of what the agent knows, between blanks.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][AllowEmptyString()][string]$Known)
    $replications = @{}
    foreach ($each in @(Hyper-V\Get-VMReplication -ComputerName $HostName)) {
        if ([string]$each.ReplicationRelationshipType -eq 'Simple') { $replications[[string]$each.VMId] = $each }
    }
    $vms = @(Hyper-V\Get-VM -ComputerName $HostName).Where({ [string]$_.ReplicationMode -ne 'TestReplica' })
    $measured = @{}
    if ($vms.Where({ Test-FailedOver -VM $_ }, 'First').Count -gt 0) { $measured = Measure-Replication -HostName $HostName }
    $views = @($vms.ForEach({ ConvertTo-View -VM $_ -HostName $HostName -Replication $replications[[string]$_.Id] -FailoverType (Get-FailoverType -Measured $measured[[string]$_.Id]) }))
    $differences = Select-Difference -Told $views -Known $Known -Measured $measured -HostName $HostName
    [pscustomobject]@{
        switches = [object[]]@(@(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({ [pscustomobject]@{ name = $_.Name; type = [string]$_.SwitchType } }))
        vms = [object[]]$differences.told
        gone = $differences.gone
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
