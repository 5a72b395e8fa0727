# The first copy: over the network now or later, or in a folder that people carry to the other site.

function Start-FarshoreInitialReplication {
    <#
    .SYNOPSIS
    The first copy of a primary that is ready for it begins now, or at a moment, or is exported to a folder.
    .DESCRIPTION
    What state a primary is in while it waits for its moment is in no source: it may stay as it is, if it tells the moment.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER At
    Milliseconds since 1970 in UTC; 0 for now.
    .PARAMETER Folder
    As the host sees it; empty for a copy over the network.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [long]$At = 0,
        [string]$Folder = ''
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Primary/ReadyForInitialReplication' -Needed 'a primary that is ready for initial replication'
    $begun = 'Primary/InitialReplicationInProgress', 'Primary/Replicating'
    if ($Folder -ne '') {
        Hyper-V\Start-VMInitialReplication -VM $found.VM -DestinationPath $Folder -Confirm:$false
        return Confirm-Phase -Found $found -Phase ($begun + 'Primary/WaitingForInitialReplication') -After 'Start-VMInitialReplication -DestinationPath'
    }
    if ($At -eq 0) {
        Hyper-V\Start-VMInitialReplication -VM $found.VM -Confirm:$false
        return Confirm-Phase -Found $found -Phase $begun -After 'Start-VMInitialReplication'
    }
    $moment = [datetime]::new(1970, 1, 1, 0, 0, 0, [System.DateTimeKind]::Utc).AddMilliseconds($At).ToLocalTime()
    Hyper-V\Start-VMInitialReplication -VM $found.VM -InitialReplicationStartTime $moment -Confirm:$false
    $vm = (Get-Machine -HostName $found.HostName -VMId $VMId).VM
    if ((Get-Phase -VM $vm) -eq 'Primary/ReadyForInitialReplication' -and $null -ne (Get-Replication -VM $vm).InitialReplicationStartTime) { return }
    Confirm-Phase -Found $found -Phase ($begun + 'Primary/WaitingForInitialReplication') -After 'Start-VMInitialReplication -InitialReplicationStartTime'
}

function Import-FarshoreInitialReplication {
    <#
    .SYNOPSIS
    A replica takes in the first copy that its primary has exported.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Folder
    Where it stands now, as the host of the replica sees it.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][string]$Folder
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/WaitingForInitialReplication' -Needed 'a replica that waits for its first copy'
    Hyper-V\Import-VMInitialReplication -VM $found.VM -Path $Folder -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Replica/Replicating' -After 'Import-VMInitialReplication'
}
