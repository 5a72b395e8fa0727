# VM networks of SCVMM: their subnets and pools, and who is connected to them.

function Find-ScNetwork {
    <#
    .SYNOPSIS
    The VM network of that id, or nothing.
    #>
    param([string]$NetworkId)
    foreach ($each in @(Get-SCVMNetwork -VMMServer (Get-Vmm))) { if ([string]$each.ID -eq $NetworkId) { return $each } }
}

function Get-ScNetwork {
    <#
    .SYNOPSIS
    As Find-ScNetwork; that there is none is an error.
    #>
    param([string]$NetworkId)
    $network = Find-ScNetwork -NetworkId $NetworkId
    if ($null -eq $network) { throw (New-OwnError -Code 'ERR_NETWORK_NOT_FOUND' -Message "SCVMM has no VM network $NetworkId." -Target $NetworkId) }
    $network
}

function Get-ScSubnet {
    <#
    .SYNOPSIS
    The subnets of a VM network, of both families: { subnet, name, cidr, pool }
    .DESCRIPTION
    A network with isolation has pools of its own; others have those of the logical network, by the subnet.
    #>
    param([object]$Network)
    $known = @{}
    $pools = @(Get-SCStaticIPAddressPool -VMMServer (Get-Vmm))
    foreach ($subnet in @(Get-SCVMSubnet -VMMServer (Get-Vmm) -VMNetwork $Network)) {
        foreach ($cidr in @(@($subnet.SubnetVLans).Where({ $null -ne $_ }).ForEach({ [string]$_.Subnet }))) {
            $own = $pools.Where({ $null -ne $_.VMSubnet -and [string]$_.VMSubnet.ID -eq [string]$subnet.ID -and [string]$_.Subnet -eq $cidr }, 'First')
            if ($own.Count -eq 0) { $own = $pools.Where({ $null -eq $_.VMSubnet -and [string]$_.LogicalNetworkDefinition.LogicalNetwork.ID -eq [string]$Network.LogicalNetwork.ID -and [string]$_.Subnet -eq $cidr }, 'First') }
            $pool = $null
            if ($own.Count -gt 0) { $pool = $own[0] }
            $known[$cidr] = $true
            # One VM subnet may have several.
            $name = [string]$subnet.Name
            if ($known.ContainsKey("name $name")) { $name = "$name $cidr" }
            $known["name $name"] = $true
            [pscustomobject]@{ subnet = $subnet; name = $name; cidr = $cidr; pool = $pool }
        }
    }
    if ([string]$Network.IsolationType -ne 'NoIsolation') { return }
    foreach ($pool in $pools) {
        if ($null -ne $pool.VMSubnet -or $known.ContainsKey([string]$pool.Subnet) -or [string]$pool.LogicalNetworkDefinition.LogicalNetwork.ID -ne [string]$Network.LogicalNetwork.ID) { continue }
        [pscustomobject]@{ subnet = $null; name = [string]$pool.Name; cidr = [string]$pool.Subnet; pool = $pool }
    }
}

function Test-LeadsOut {
    <#
    .SYNOPSIS
    Whether a VM network may lead out of itself: only a virtualized one without a gateway is known not to.
    #>
    param([object]$Network)
    [string]$Network.IsolationType -ne 'WindowsNetworkVirtualization' -or @($Network.VMNetworkGateways).Where({ $null -ne $_ }).Count -gt 0
}

function ConvertTo-PoolView {
    <#
    .SYNOPSIS
    A static pool with the addresses that are granted to others.
    #>
    param([object]$Pool, [string[]]$Own)
    if ($null -eq $Pool) { return $null }
    $gateway = $null
    foreach ($each in @($Pool.DefaultGateways)) { if ($null -eq $gateway -and $null -ne $each) { $gateway = [string]$each.IPAddress } }
    $taken = @(Get-SCIPAddress -VMMServer (Get-Vmm) -StaticIPAddressPool $Pool -Assigned).ForEach({ [string]$_.Address })
    [pscustomobject]@{
        id = [string]$Pool.ID
        from = [string]$Pool.IPAddressRangeStart
        to = [string]$Pool.IPAddressRangeEnd
        gateway = $gateway
        dns = [object[]]@(@($Pool.DNSServers).Where({ $null -ne $_ }).ForEach({ [string]$_ }))
        taken = [object[]]@($taken.Where({ $Own -notcontains $_ }))
    }
}

function Get-FarshoreScNetwork {
    <#
    .SYNOPSIS
    VM networks with their subnets and pools; ids that SCVMM does not know are left out.
    .PARAMETER HostName
    The hosts that the VM may stand on, the likeliest first.
    .PARAMETER VMId
    The VM whose own addresses count as free.
    .PARAMETER NetworkId
    The networks.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]]$NetworkId
    )
    $machine = Get-ScMachine -VM (Get-Machine -HostName $HostName -VMId $VMId).VM
    $own = @()
    foreach ($adapter in @($machine.VirtualNetworkAdapters)) { $own += @(Get-SCIPAddress -VMMServer (Get-Vmm) -GrantToObjectID $adapter.ID).ForEach({ [string]$_.Address }) }
    $networks = foreach ($id in $NetworkId) {
        $network = Find-ScNetwork -NetworkId $id
        if ($null -eq $network) { continue }
        $subnets = @(@(Get-ScSubnet -Network $network).ForEach({ [pscustomobject]@{ name = $_.name; cidr = $_.cidr; pool = ConvertTo-PoolView -Pool $_.pool -Own $own } }))
        [pscustomobject]@{ id = $id; name = [string]$network.Name; subnets = [object[]]$subnets }
    }
    [pscustomobject]@{ networks = [object[]]@($networks) }
}

function Get-FarshoreScExposure {
    <#
    .SYNOPSIS
    VM networks, whether each leads out, and how many test copies and other VMs are connected to it.
    .PARAMETER Name
    How their names begin; empty for all.
    .PARAMETER NetworkId
    The one that is wanted; empty for all.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][AllowEmptyString()][string]$Name, [Parameter(Mandatory = $true)][AllowEmptyString()][string]$NetworkId)
    $wanted = @(Get-SCVMNetwork -VMMServer (Get-Vmm)).Where({ ([string]$_.Name).StartsWith($Name, [System.StringComparison]::Ordinal) -and ($NetworkId -eq '' -or [string]$_.ID -eq $NetworkId) })
    $vms = @{}
    $copies = @{}
    if ($wanted.Count -gt 0) {
        $copiesOf = @{}
        foreach ($each in @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -All)) {
            $ids = @{}
            foreach ($id in @(Get-ScAdapterNetwork -Machine $each)) { if ($id -ne '' -and $wanted.ID -contains $id) { $ids[$id] = $true } }
            if ($ids.Count -eq 0 -or [string]$each.Status -eq 'Missing') { continue }
            $hostName = [string]$each.HostName
            # Where a host is silent they all count as others.
            if (-not $copiesOf.ContainsKey($hostName)) {
                $copiesOf[$hostName] = @()
                try { $copiesOf[$hostName] = @(@(Hyper-V\Get-VM -ComputerName $hostName).Where({ [string]$_.ReplicationMode -eq 'TestReplica' }).ForEach({ [string]$_.Id })) }
                catch { $copiesOf[$hostName] = @() }
            }
            $counts = $vms
            if ($copiesOf[$hostName] -contains [string]$each.VMId) { $counts = $copies }
            foreach ($id in $ids.Keys) { $counts[$id] = 1 + [int]$counts[$id] }
        }
    }
    [pscustomobject]@{
        networks = [object[]]@($wanted.ForEach({
                    $id = [string]$_.ID
                    [pscustomobject]@{ id = $id; name = [string]$_.Name; leadsOut = [bool](Test-LeadsOut -Network $_); vms = [int]$vms[$id]; copies = [int]$copies[$id] }
                }))
    }
}
