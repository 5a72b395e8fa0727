# Adapters in SCVMM: the VM network that each is connected to, and the addresses that are granted to it.

function Test-Within {
    <#
    .SYNOPSIS
    Whether an address lies in a subnet.
    #>
    param([string]$Address, [string]$Cidr)
    $parts = $Cidr -split '/'
    $bits = [int]$parts[1]
    $texts = @($Address, $parts[0]).ForEach({ @(@([System.Net.IPAddress]::Parse($_).GetAddressBytes()).ForEach({ [System.Convert]::ToString($_, 2).PadLeft(8, '0') })) -join '' })
    $texts[0].Length -eq $texts[1].Length -and $texts[0].Substring(0, $bits) -eq $texts[1].Substring(0, $bits)
}

function Connect-ScReplicaAtRest {
    <#
    .SYNOPSIS
    As Connect-ScAdapter, of a replica that is not failed over yet. Whether SCVMM connects one at rest is in no source: what it refuses is done after the failover.
    #>
    param([object]$Found, [string[]]$NetworkId)
    try { Connect-ScAdapter -Found $Found -NetworkId $NetworkId }
    catch { if ([string]$_.FullyQualifiedErrorId -like 'ERR_*') { throw } }
}

function Get-ScAdapterSetting {
    <#
    .SYNOPSIS
    What Set-SCVirtualNetworkAdapter takes to connect an adapter to a VM network.
    #>
    param([object]$Adapter, [object]$Network)
    $connection = @{ VirtualNetworkAdapter = $Adapter; VMNetwork = $Network }
    $granted = @(Get-SCIPAddress -VMMServer (Get-Vmm) -GrantToObjectID $Adapter.ID).ForEach({ [string]$_.Address })
    $isMadeForDrill = ([string]$Network.Name).StartsWith('Farshore drill ', [System.StringComparison]::Ordinal)
    # Its maker may have died half way.
    if ($isMadeForDrill) { Add-ScDrillSubnet -Network $Network }
    $subnets = @(Get-ScSubnet -Network $Network)
    $chosen = $null
    foreach ($each in $subnets) {
        foreach ($address in $granted) {
            if (-not (Test-Within -Address $address -Cidr $each.cidr)) { continue }
            $chosen = $each
            if ($isMadeForDrill) { continue }
            if ($address.IndexOf(':') -lt 0) { $connection.IPv4AddressType = 'Static' } else { $connection.IPv6AddressType = 'Static' }
        }
    }
    # A guest with an address that SCVMM did not give is heard of in a virtualized network only if it may tell.
    if (($null -eq $chosen -or $isMadeForDrill) -and [string]$Network.IsolationType -eq 'WindowsNetworkVirtualization') { $connection.EnableGuestIPNetworkVirtualizationUpdates = $true }
    if ($null -eq $chosen -and $subnets.Count -gt 0) { $chosen = $subnets[0] }
    if ($null -ne $chosen -and $null -ne $chosen.subnet) { $connection.VMSubnet = $chosen.subnet }
    $connection
}

function Connect-ScAdapter {
    <#
    .SYNOPSIS
    Connects the adapters of a VM by their order to VM networks of these ids, in the subnet of the address that is granted; an empty id disconnects. Looks again.
    #>
    param([object]$Found, [string[]]$NetworkId)
    $vm = (Get-Machine -HostName $Found.HostName -VMId $Found.VM.Id).VM
    $null = Read-SCVirtualMachine -VM (Get-ScMachine -VM $vm)
    $machine = Get-ScMachine -VM $vm
    $adapters = @($machine.VirtualNetworkAdapters)
    if ($adapters.Count -ne @($vm.NetworkAdapters).Count) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "SCVMM sees $($adapters.Count) adapters of '$($vm.Name)', its host $(@($vm.NetworkAdapters).Count)." -Target $vm.Name) }
    $now = @(Get-ScAdapterNetwork -Machine $machine -VM $vm)
    $wanted = @()
    for ($i = 0; $i -lt $adapters.Count; $i++) { if ($i -lt $NetworkId.Count) { $wanted += $NetworkId[$i] } else { $wanted += '' } }
    $settings = @()
    for ($i = 0; $i -lt $adapters.Count; $i++) {
        if ($wanted[$i] -ne '' -and $wanted[$i] -ne $now[$i]) { $settings += , (Get-ScAdapterSetting -Adapter $adapters[$i] -Network (Get-ScNetwork -NetworkId $wanted[$i])) }
        else { $settings += $null }
    }
    for ($i = 0; $i -lt $adapters.Count; $i++) {
        if ($wanted[$i] -eq $now[$i]) { continue }
        if ($null -eq $settings[$i]) { $null = Set-SCVirtualNetworkAdapter -VirtualNetworkAdapter $adapters[$i] -NoConnection -NoLogicalNetwork -NoPortClassification; continue }
        $connection = $settings[$i]
        $null = Set-SCVirtualNetworkAdapter @connection
    }
    $vm = (Get-Machine -HostName $Found.HostName -VMId $Found.VM.Id).VM
    $after = @(Get-ScAdapterNetwork -Machine (Get-ScMachine -VM $vm) -VM $vm)
    if (($after -join ' ') -ne ($wanted -join ' ')) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "An adapter of '$($vm.Name)' is not where SCVMM was to connect it to." -Target $vm.Name) }
}

function Test-Granted {
    <#
    .SYNOPSIS
    Whether an address is granted to an adapter.
    #>
    param([object]$Adapter, [string]$Address)
    $wanted = Format-AddressList -Address $Address
    @(Get-SCIPAddress -VMMServer (Get-Vmm) -GrantToObjectID $Adapter.ID).Where({ (Format-AddressList -Address ([string]$_.Address)) -eq $wanted }, 'First').Count -gt 0
}

function Clear-ScAddress {
    <#
    .SYNOPSIS
    Gives the addresses that Farshore had granted an adapter back into their pools, but for those that are kept.
    #>
    param([object]$Adapter, [string[]]$Keep = @())
    $kept = @($Keep.ForEach({ Format-AddressList -Address $_ }))
    foreach ($granted in @(Get-SCIPAddress -VMMServer (Get-Vmm) -GrantToObjectID $Adapter.ID)) {
        if ([string]$granted.Description -ne 'Farshore' -or $kept -contains (Format-AddressList -Address ([string]$granted.Address))) { continue }
        $null = Revoke-SCIPAddress -VMMServer (Get-Vmm) -AllocatedIPAddress $granted -ReturnToPool $true
    }
    $left = @(Get-SCIPAddress -VMMServer (Get-Vmm) -GrantToObjectID $Adapter.ID).Where({ [string]$_.Description -eq 'Farshore' -and $kept -notcontains (Format-AddressList -Address ([string]$_.Address)) }, 'First')
    if ($left.Count -gt 0) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Revoke-SCIPAddress ended without an error, and $($left[0].Address) is still granted." -Target $left[0].Address) }
}

function Set-FarshoreScReplica {
    <#
    .SYNOPSIS
    Puts a replica into its cloud, and grants the addresses that a failover gives it; those that Farshore had granted it before and that are wanted no more go back into their pools.
    .PARAMETER HostName
    The hosts that it may stand on, the likeliest first.
    .PARAMETER VMId
    Its id.
    .PARAMETER Cloud
    The name of the cloud; empty leaves it where it is.
    .PARAMETER Address
    One for each adapter: { grants }, and each of them { pool, address }
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$HostName,
        [Parameter(Mandatory = $true)][guid]$VMId,
        [Parameter(Mandatory = $true)][AllowEmptyString()][string]$Cloud,
        [object[]]$Address = @()
    )
    $vmm = Get-Vmm
    $vm = (Get-Machine -HostName $HostName -VMId $VMId).VM
    $machine = Get-ScMachine -VM $vm
    if ($Cloud -ne '' -and ($null -eq $machine.Cloud -or [string]$machine.Cloud.Name -ne $Cloud)) {
        $null = Set-SCVirtualMachine -VM $machine -Cloud @(Get-SCCloud -VMMServer $vmm -Name $Cloud)[0]
        $machine = Get-ScMachine -VM $vm
        if ($null -eq $machine.Cloud -or [string]$machine.Cloud.Name -ne $Cloud) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "SCVMM did not put '$($vm.Name)' into the cloud '$Cloud'." -Target $vm.Name) }
    }
    $i = 0
    foreach ($adapter in @($machine.VirtualNetworkAdapters)) {
        $wanted = @()
        if ($i -lt $Address.Count) { $wanted = @($Address[$i].grants) }
        $i++
        Clear-ScAddress -Adapter $adapter -Keep @($wanted.ForEach({ [string]$_.address }))
        foreach ($one in $wanted) {
            $granted = [string]$one.address
            if (Test-Granted -Adapter $adapter -Address $granted) { continue }
            $pool = @(Get-SCStaticIPAddressPool -VMMServer $vmm -ID ([guid]$one.pool))[0]
            $null = Grant-SCIPAddress -VMMServer $vmm -StaticIPAddressPool $pool -GrantToObjectType 'VirtualNetworkAdapter' -GrantToObjectID $adapter.ID -IPAddress $granted -Description 'Farshore'
            if (-not (Test-Granted -Adapter $adapter -Address $granted)) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Grant-SCIPAddress ended without an error, and '$($vm.Name)' does not have $granted." -Target $vm.Name) }
        }
    }
}
