# Setting replication up, changing it, taking it away, turning it round, bringing two copies into step.

function Get-SenderSetting {
    <#
    .SYNOPSIS
    What Enable- and Set-VMReplication take of a target and a policy: the certificate is the one that the host receives with.
    #>
    param([string]$HostName, [object]$Target, [object]$Policy)
    $setting = @{
        ReplicaServerName = [string]$Target.server
        ReplicaServerPort = [int]$Target.port
        AuthenticationType = [string]$Target.authentication
        CompressionEnabled = [bool]$Policy.compression
        RecoveryHistory = [int]$Policy.recoveryHistory
        ReplicationFrequencySec = [int]$Policy.frequencySeconds
    }
    if ($null -ne $Policy.vssHours) { $setting.VSSSnapshotFrequencyHour = [int]$Policy.vssHours }
    if ($setting.AuthenticationType -eq 'Certificate') {
        $thumbprint = [string]@(Hyper-V\Get-VMReplicationServer -ComputerName $HostName)[0].CertificateThumbprint
        if ($thumbprint -eq '') { throw (New-OwnError -Code 'ERR_NOT_PREPARED' -Message "$HostName has no replication certificate." -Target $HostName) }
        $setting.CertificateThumbprint = $thumbprint
    }
    $setting
}

function Enable-FarshoreReplication {
    <#
    .SYNOPSIS
    A VM that does not replicate becomes a primary that is ready for its first copy; its replica is made at the target.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Target
    { server, port, authentication }
    .PARAMETER Policy
    { frequencySeconds, recoveryHistory, vssHours, compression }
    .PARAMETER Adapters
    The networks that its adapters stand on, in the words of the agent: the replica reads them from its notes.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][object]$Target,
        [Parameter(Mandatory = $true)][object]$Policy,
        [Parameter(Mandatory = $true)][string]$Adapters
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'None/Disabled' -Needed 'a VM that does not replicate'
    if (-not @(Hyper-V\Get-VMReplicationServer -ComputerName $found.HostName)[0].ReplicationEnabled) {
        throw (New-OwnError -Code 'ERR_NOT_PREPARED' -Message "$($found.HostName) is no replica server." -Target $found.HostName)
    }
    $setting = Get-SenderSetting -HostName $found.HostName -Target $Target -Policy $Policy
    Set-Note -Found $found -Key 'adapters' -Value $Adapters
    Hyper-V\Enable-VMReplication -VM $found.VM @setting -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Primary/ReadyForInitialReplication' -After 'Enable-VMReplication'
}

function Format-AddressList {
    <#
    .SYNOPSIS
    Addresses as one text that can be compared: one IPv6 address can be written in many ways.
    #>
    param([string[]]$Address)
    @($Address).ForEach({ [System.Net.IPAddress]::Parse($_).ToString() }) -join ' '
}

function Set-AdapterAddress {
    <#
    .SYNOPSIS
    The addresses that a failover puts into the guest for one adapter, of a family nothing where the guest keeps what it has. Answers them as one text.
    #>
    param([object]$VM, [object]$Adapter, [object]$IPv4, [object]$IPv6)
    $now = @(Hyper-V\Get-VMNetworkAdapterFailoverConfiguration -VMNetworkAdapter $Adapter)[0]
    if ($null -eq $IPv4 -and [string]$now.IPv4Address -ne '') { Hyper-V\Set-VMNetworkAdapterFailoverConfiguration -VMNetworkAdapter $Adapter -ClearFailoverIPv4Settings -Confirm:$false }
    if ($null -eq $IPv6 -and [string]$now.IPv6Address -ne '') { Hyper-V\Set-VMNetworkAdapterFailoverConfiguration -VMNetworkAdapter $Adapter -ClearFailoverIPv6Settings -Confirm:$false }
    $given = @()
    $setting = @{ VMNetworkAdapter = $Adapter }
    if ($null -ne $IPv4) {
        $given += [string]$IPv4.address
        $setting.IPv4Address = [string]$IPv4.address
        $setting.IPv4SubnetMask = [string]$IPv4.mask
        if ($null -ne $IPv4.gateway) { $setting.IPv4DefaultGateway = [string]$IPv4.gateway }
        $servers = @($IPv4.dns)
        if ($servers.Count -gt 0) { $setting.IPv4PreferredDNSServer = [string]$servers[0] }
        if ($servers.Count -gt 1) { $setting.IPv4AlternateDNSServer = [string]$servers[1] }
    }
    if ($null -ne $IPv6) {
        $given += [string]$IPv6.address
        $setting.IPv6Address = [string]$IPv6.address
        $setting.IPv6SubnetPrefixLength = [int]$IPv6.mask
        if ($null -ne $IPv6.gateway) { $setting.IPv6DefaultGateway = [string]$IPv6.gateway }
        $servers = @($IPv6.dns)
        if ($servers.Count -gt 0) { $setting.IPv6PreferredDNSServer = [string]$servers[0] }
        if ($servers.Count -gt 1) { $setting.IPv6AlternateDNSServer = [string]$servers[1] }
    }
    if ($given.Count -gt 0) { Hyper-V\Set-VMNetworkAdapterFailoverConfiguration @setting -Confirm:$false }
    $set = @(Hyper-V\Get-VMNetworkAdapterFailoverConfiguration -VMNetworkAdapter $Adapter)[0]
    $taken = @([string]$set.IPv4Address, [string]$set.IPv6Address).Where({ $_ -ne '' })
    if ((Format-AddressList -Address $taken) -ne (Format-AddressList -Address $given)) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "An adapter of '$($VM.Name)' did not take its failover address." -Target $VM.Name) }
    $given -join ' '
}

function Set-FailoverAddress {
    <#
    .SYNOPSIS
    The addresses that a failover, also one for a test, puts into the guest; an adapter without one keeps what the guest has.
    #>
    param([object]$Found, [object[]]$Address)
    $adapters = @(Hyper-V\Get-VMNetworkAdapter -VM $Found.VM)
    $noted = @()
    for ($i = 0; $i -lt $adapters.Count; $i++) {
        $wanted = [pscustomobject]@{ ipv4 = $null; ipv6 = $null }
        if ($i -lt $Address.Count) { $wanted = $Address[$i] }
        $noted += Set-AdapterAddress -VM $Found.VM -Adapter $adapters[$i] -IPv4 $wanted.ipv4 -IPv6 $wanted.ipv6
    }
    if ($noted.Count -gt 0) { Set-Note -Found $Found -Key 'addresses' -Value (ConvertTo-NameList -Name $noted) }
}

function Set-FarshoreReplicaNetwork {
    <#
    .SYNOPSIS
    Writes down to which switches a failover connects the adapters of a replica.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER SwitchName
    One for each adapter, empty where it stays unconnected.
    .PARAMETER Address
    One for each adapter: { ipv4, ipv6 }, each { address, mask, gateway, dns } or nothing; of IPv6 the mask is the length of the prefix.
    .PARAMETER Keep
    It was the primary, and goes back to where it stood: nothing is written down.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][AllowEmptyCollection()][AllowEmptyString()][string[]]$SwitchName,
        [object[]]$Address = @(),
        [switch]$Keep
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Needed 'a replica that is not failed over' -Phase 'Replica/WaitingForInitialReplication', 'Replica/Replicating', 'Replica/Suspended', 'Replica/Error', 'Replica/WaitingForStartResynchronize', 'Replica/Resynchronizing'
    if ($Keep -or $SwitchName.Count -eq 0) { return }
    Set-FailoverAddress -Found $found -Address $Address
    Set-Note -Found $found -Key 'plan' -Value (ConvertTo-NameList -Name $SwitchName)
}

function Set-FarshoreReplicationPolicy {
    <#
    .SYNOPSIS
    A primary replicates by this policy from now on.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Policy
    { frequencySeconds, recoveryHistory, vssHours, compression }
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][object]$Policy
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    if ([string]$found.VM.ReplicationMode -ne 'Primary') { Assert-Phase -VM $found.VM -Phase @() -Needed 'a primary' }
    $setting = @{
        CompressionEnabled = [bool]$Policy.compression
        RecoveryHistory = [int]$Policy.recoveryHistory
        ReplicationFrequencySec = [int]$Policy.frequencySeconds
    }
    if ($null -ne $Policy.vssHours) { $setting.VSSSnapshotFrequencyHour = [int]$Policy.vssHours } else { $setting.DisableVSSSnapshotReplication = $true }
    Hyper-V\Set-VMReplication -VM $found.VM @setting -Confirm:$false
    $now = Get-Replication -VM (Get-Machine -HostName $found.HostName -VMId $VMId).VM
    if ($null -eq $now -or $now.ReplicationFrequencySec -ne $setting.ReplicationFrequencySec -or $now.RecoveryHistory -ne $setting.RecoveryHistory) {
        throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Set-VMReplication ended without an error, and '$($found.VM.Name)' replicates as before." -Target $found.VM.Name)
    }
}

function Remove-FarshoreReplication {
    <#
    .SYNOPSIS
    Ends replication on this side; the VM stays, and what Farshore had noted for a failover goes.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    if ([string]$found.VM.ReplicationMode -notin 'Primary', 'Replica', 'ExtendedReplica') { Assert-Phase -VM $found.VM -Phase @() -Needed 'a VM that replicates' }
    # What was kept for a failover; a VM that was failed over has its addresses.
    if ($null -ne $script:scvmm -and [string]$found.VM.ReplicationMode -eq 'Replica' -and -not (Test-FailedOver -VM $found.VM)) {
        foreach ($adapter in @((Get-ScMachine -VM $found.VM).VirtualNetworkAdapters)) { Clear-ScAddress -Adapter $adapter }
    }
    Hyper-V\Remove-VMReplication -VM $found.VM -Confirm:$false
    Confirm-Phase -Found $found -Phase 'None/Disabled' -After 'Remove-VMReplication'
    foreach ($key in 'plan', 'addresses', 'ownPlan', 'adapters', 'copyPoint', 'failover') { Set-Note -Found $found -Key $key }
}

function Set-FarshoreAsReplica {
    <#
    .SYNOPSIS
    A primary that is off becomes a replica: what it holds is compared and overwritten. Where its adapters stood is kept for a failover back.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    if ([string]$found.VM.ReplicationMode -ne 'Primary' -or [string]$found.VM.State -ne 'Off') { Assert-Phase -VM $found.VM -Phase @() -Needed 'a primary that is off' }
    $own = @((Get-Around -VM $found.VM).networks)
    if ($own.Count -gt 0) { Set-Note -Found $found -Key 'ownPlan' -Value (ConvertTo-NameList -Name $own) }
    Hyper-V\Set-VMReplication -VM $found.VM -AsReplica -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Replica/WaitingForInitialReplication' -Power 'Off' -After 'Set-VMReplication -AsReplica'
    Connect-Adapter -Found $found -SwitchName @()
}

function Switch-FarshoreReplication {
    <#
    .SYNOPSIS
    A replica that was failed over becomes the primary, and sends to the target.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Target
    { server, port, authentication }
    .PARAMETER Policy
    { frequencySeconds, recoveryHistory, vssHours, compression }
    .PARAMETER Adapters
    The networks that its adapters stand on, in the words of the agent.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][object]$Target,
        [Parameter(Mandatory = $true)][object]$Policy,
        [Parameter(Mandatory = $true)][string]$Adapters
    )
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Replica/FailedOverWaitingCompletion', 'Replica/FailedOver' -Needed 'a replica that was failed over'
    $setting = Get-SenderSetting -HostName $found.HostName -Target $Target -Policy $Policy
    Set-Note -Found $found -Key 'adapters' -Value $Adapters
    Hyper-V\Set-VMReplication -VM $found.VM -Reverse @setting -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Primary/Replicating', 'Primary/ReadyForInitialReplication' -After 'Set-VMReplication -Reverse'
    Set-Note -Found $found -Key 'failover'
}

function Sync-FarshoreReplication {
    <#
    .SYNOPSIS
    A primary that fell out of step with its replica is compared with it.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$HostName, [Parameter(Mandatory = $true)][guid]$VMId)
    $found = Get-Machine -HostName $HostName -VMId $VMId
    Assert-Phase -VM $found.VM -Phase 'Primary/WaitingForStartResynchronize' -Needed 'a primary that waits to be resynchronized'
    Hyper-V\Resume-VMReplication -VM $found.VM -Resynchronize -Confirm:$false
    Confirm-Phase -Found $found -Phase 'Primary/Resynchronizing', 'Primary/Replicating' -After 'Resume-VMReplication -Resynchronize'
}
