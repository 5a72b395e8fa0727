# VM networks that are made for a drill.

function Add-ScDrillSubnet {
    <#
    .SYNOPSIS
    Gives the network of a drill those subnets of the network it is made after that it lacks.
    #>
    param([object]$Network)
    $like = Find-ScNetwork -NetworkId (([string]$Network.Description) -split ' ')[-1]
    if ($null -eq $like) { return }
    $there = @(@(Get-ScSubnet -Network $Network).ForEach({ $_.cidr }))
    foreach ($cidr in @(@(Get-ScSubnet -Network $like).ForEach({ $_.cidr }))) {
        if ($there -contains $cidr) { continue }
        $vlan = New-SCSubnetVLan -VMMServer (Get-Vmm) -Subnet $cidr
        $null = New-SCVMSubnet -VMMServer (Get-Vmm) -Name "$($Network.Name) $cidr" -SubnetVLan $vlan -VMNetwork $Network
    }
}

function New-FarshoreScDrillNetwork {
    <#
    .SYNOPSIS
    Makes a virtualized VM network for a drill, with the subnets of another one and without a gateway: it leads nowhere.
    .PARAMETER Name
    It says whose it is.
    .PARAMETER Like
    The id of the network that it is made after.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$Name, [Parameter(Mandatory = $true)][string]$Like)
    Assert-DrillSwitch -SwitchName $Name
    if (@(Get-SCVMNetwork -VMMServer (Get-Vmm)).Where({ $_.Name -ceq $Name }).Count -gt 0) { throw (New-OwnError -Code 'ERR_CONFLICT' -Message "There is a VM network '$Name'." -Target $Name) }
    $model = Get-ScNetwork -NetworkId $Like
    try { $null = New-SCVMNetwork -VMMServer (Get-Vmm) -Name $Name -Description "Made by Farshore for a drill, after $Like" -LogicalNetwork $model.LogicalNetwork -IsolationType 'WindowsNetworkVirtualization' }
    catch {
        $message = "SCVMM made no isolated network of the logical network '$($model.LogicalNetwork.Name)': $($_.Exception.Message) It must allow network virtualization; else choose an isolated network that exists for the drill."
        throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message $message -Target $Name)
    }
    $made = @(Get-SCVMNetwork -VMMServer (Get-Vmm)).Where({ $_.Name -ceq $Name }, 'First')
    if ($made.Count -eq 0 -or (Test-LeadsOut -Network $made[0])) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "New-SCVMNetwork ended without an error, and there is no isolated VM network '$Name'." -Target $Name) }
    Add-ScDrillSubnet -Network $made[0]
}

function Remove-FarshoreScDrillNetwork {
    <#
    .SYNOPSIS
    Removes the network of a drill, when nothing is connected to it.
    .PARAMETER Name
    Its name.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$Name)
    Assert-DrillSwitch -SwitchName $Name
    $found = @(Get-SCVMNetwork -VMMServer (Get-Vmm)).Where({ $_.Name -ceq $Name }, 'First')
    if ($found.Count -eq 0) { throw (New-OwnError -Code 'ERR_NETWORK_NOT_FOUND' -Message "SCVMM has no VM network '$Name'." -Target $Name) }
    foreach ($each in @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -All)) {
        if (@(Get-ScAdapterNetwork -Machine $each) -notcontains [string]$found[0].ID) { continue }
        # What SCVMM shows of a copy may be older than its end.
        Clear-ScRecord -HostName $each.HostName -Gone ([guid]$each.VMId)
        $left = @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -Name $each.Name).Where({ [string]$_.ID -eq [string]$each.ID })
        if ($left.Count -gt 0) { throw (New-OwnError -Code 'ERR_CONFLICT' -Message "'$($each.Name)' is connected to '$Name'." -Target $each.Name) }
    }
    foreach ($subnet in @(Get-SCVMSubnet -VMMServer (Get-Vmm) -VMNetwork $found[0])) { $null = Remove-SCVMSubnet -VMMServer (Get-Vmm) -VMSubnet $subnet -Force -Confirm:$false }
    $null = Remove-SCVMNetwork -VMMServer (Get-Vmm) -VMNetwork $found[0] -Force -Confirm:$false
    if (@(Get-SCVMNetwork -VMMServer (Get-Vmm)).Where({ $_.Name -ceq $Name }).Count -gt 0) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Remove-SCVMNetwork ended without an error, and '$Name' is still there." -Target $Name) }
}
