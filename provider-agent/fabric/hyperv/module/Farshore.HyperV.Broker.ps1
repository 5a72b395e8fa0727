# The Hyper-V Replica Broker of a failover cluster: the name under which its nodes receive replicas, on whichever of them a VM stands.

function Get-Broker {
    <#
    .SYNOPSIS
    The role of a cluster, or nothing.
    #>
    param([string]$ClusterName)
    foreach ($group in @(FailoverClusters\Get-ClusterGroup -Cluster $ClusterName)) { if ([string]$group.GroupType -eq 'VMReplicaBroker') { return $group } }
}

function Get-BrokerResource {
    <#
    .SYNOPSIS
    The resources of a role of these types.
    #>
    param([string]$ClusterName, [string]$GroupName, [string]$Type)
    @(FailoverClusters\Get-ClusterResource -Cluster $ClusterName).Where({ [string]$_.OwnerGroup -eq $GroupName -and [string]$_.ResourceType -eq $Type })
}

function Add-BrokerResource {
    <#
    .SYNOPSIS
    A resource of the role that depends on another, or on none. One that is there already is left as it is.
    .DESCRIPTION
    No cmdlet of the contract tells dependencies. Of a resource that a broken-off making has left the one that is wanted may be there, which is refused.
    #>
    param([string]$ClusterName, [string]$GroupName, [string]$Name, [string]$Type, [string]$DependsOn)
    $left = @(Get-BrokerResource -ClusterName $ClusterName -GroupName $GroupName -Type $Type)
    if ($left.Count -eq 0) { $null = FailoverClusters\Add-ClusterResource -Cluster $ClusterName -Name $Name -Group $GroupName -ResourceType $Type }
    if ($DependsOn -eq '') { return }
    try { $null = FailoverClusters\Add-ClusterResourceDependency -Cluster $ClusterName -Resource $Name -Provider $DependsOn }
    catch { if ($left.Count -eq 0) { throw } }
}

function New-Broker {
    <#
    .SYNOPSIS
    Makes the role and brings it online, or does what is missing where that was broken off; the steps are those of Microsoft's page on clusters.
    #>
    param([string]$ClusterName, [string]$Name, [string]$NetworkName, [string]$Address)
    $network = @(FailoverClusters\Get-ClusterNetwork -Cluster $ClusterName).Where({ $_.Name -eq $NetworkName })
    if ($network.Count -eq 0) { throw (New-OwnError -Code 'ERR_BROKER_MISSING' -Message "The cluster $ClusterName has no network '$NetworkName', which agent.yaml names for its Replica Broker." -Target $ClusterName) }
    if ($null -eq (Get-Broker -ClusterName $ClusterName)) { $null = FailoverClusters\Add-ClusterGroup -Cluster $ClusterName -Name $Name -GroupType VMReplicaBroker }
    $group = [string](Get-Broker -ClusterName $ClusterName).Name
    $ip = "$Name IP Address"
    Add-BrokerResource -ClusterName $ClusterName -GroupName $group -Name $ip -Type 'IP Address'
    $parameters = @{ Network = $NetworkName; EnableDhcp = 1 }
    if ($Address -ne '') { $parameters = @{ Network = $NetworkName; Address = $Address; SubnetMask = [string]$network[0].AddressMask; EnableDhcp = 0 } }
    foreach ($resource in @(Get-BrokerResource -ClusterName $ClusterName -GroupName $group -Type 'IP Address')) { FailoverClusters\Set-ClusterParameter -InputObject $resource -Multiple $parameters -Create }
    Add-BrokerResource -ClusterName $ClusterName -GroupName $group -Name $Name -Type 'Network Name' -DependsOn $ip
    foreach ($resource in @(Get-BrokerResource -ClusterName $ClusterName -GroupName $group -Type 'Network Name')) { FailoverClusters\Set-ClusterParameter -InputObject $resource -Name 'DnsName' -Value $Name }
    Add-BrokerResource -ClusterName $ClusterName -GroupName $group -Name "Hyper-V Replica Broker $Name" -Type 'Virtual Machine Replication Broker' -DependsOn $Name
    $null = FailoverClusters\Start-ClusterGroup -Cluster $ClusterName -Name $group -Wait 120
}

function Initialize-FarshoreBroker {
    <#
    .SYNOPSIS
    A cluster has a Replica Broker that is online under the name that replicas are sent to. One that is online is never changed.
    .PARAMETER ClusterName
    The cluster.
    .PARAMETER ServerName
    The full name that replicas are sent to.
    .PARAMETER NetworkName
    The network of the cluster in which it is made where there is none; empty: it is not made.
    .PARAMETER Address
    Its IPv4 address there; empty: by DHCP.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string]$ClusterName,
        [Parameter(Mandatory = $true)][string]$ServerName,
        [string]$NetworkName,
        [string]$Address
    )
    $name = ($ServerName -split '\.')[0]
    $group = Get-Broker -ClusterName $ClusterName
    if (($null -eq $group -or [string]$group.State -ne 'Online') -and $NetworkName -ne '') {
        New-Broker -ClusterName $ClusterName -Name $name -NetworkName $NetworkName -Address $Address
        $group = Get-Broker -ClusterName $ClusterName
    }
    if ($null -eq $group) { throw (New-OwnError -Code 'ERR_BROKER_MISSING' -Message "The cluster $ClusterName has no Hyper-V Replica Broker." -Target $ClusterName) }
    if ([string]$group.State -ne 'Online') { throw (New-OwnError -Code 'ERR_BROKER_MISSING' -Message "The Hyper-V Replica Broker '$($group.Name)' of the cluster $ClusterName is not online: it is $([string]$group.State)." -Target $ClusterName) }
    $names = @()
    foreach ($resource in @(Get-BrokerResource -ClusterName $ClusterName -GroupName ([string]$group.Name) -Type 'Network Name')) {
        foreach ($parameter in @(FailoverClusters\Get-ClusterParameter -InputObject $resource -Name 'DnsName')) { $names += [string]$parameter.Value }
    }
    if ($names -notcontains $name) { throw (New-OwnError -Code 'ERR_BROKER_MISSING' -Message "The Hyper-V Replica Broker of the cluster $ClusterName is named '$($names -join ''', ''')', and replicaServer in agent.yaml is $ServerName." -Target $ClusterName) }
}
