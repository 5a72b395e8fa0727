# Switches: who is on them, and those that are made for a drill.

function Get-ConnectionCount {
    <#
    .SYNOPSIS
    How many VMs of a host are connected to each of its switches, test copies or all others.
    #>
    param([string]$HostName, [bool]$IsCopy)
    $counts = @{}
    foreach ($vm in @(Hyper-V\Get-VM -ComputerName $HostName)) {
        if (([string]$vm.ReplicationMode -eq 'TestReplica') -ne $IsCopy) { continue }
        $names = @{}
        foreach ($adapter in @($vm.NetworkAdapters)) { $names[[string]$adapter.SwitchName] = $true }
        foreach ($name in $names.Keys) { $counts[$name] = 1 + [int]$counts[$name] }
    }
    $counts
}

function Get-FarshoreSwitch {
    <#
    .SYNOPSIS
    The switches of a host, and how many test copies and other VMs are connected to each.
    .PARAMETER HostName
    The host.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName)
    $vms = Get-ConnectionCount -HostName $HostName -IsCopy $false
    $copies = Get-ConnectionCount -HostName $HostName -IsCopy $true
    $switches = @(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({
            [pscustomobject]@{ name = $_.Name; type = [string]$_.SwitchType; vms = [int]$vms[$_.Name]; copies = [int]$copies[$_.Name] }
        })
    [pscustomobject]@{ switches = [object[]]@($switches) }
}

function Assert-DrillSwitch {
    <#
    .SYNOPSIS
    Refuses the name of a switch that was not made for a drill.
    #>
    param([string]$SwitchName)
    if ($SwitchName -like 'Farshore drill *') { return }
    throw (New-OwnError -Code 'ERR_INTERNAL' -Message "'$SwitchName' is no switch of a drill." -Target $SwitchName)
}

function New-FarshoreDrillSwitch {
    <#
    .SYNOPSIS
    Makes a private switch for a drill on a host: it leads nowhere. One that is there already is left as it is.
    .PARAMETER HostName
    The host.
    .PARAMETER SwitchName
    Its name says whose it is.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][string]$SwitchName)
    Assert-DrillSwitch -SwitchName $SwitchName
    $names = @(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({ $_.Name })
    if ($names -contains $SwitchName) { return }
    $null = Hyper-V\New-VMSwitch -ComputerName $HostName -Name $SwitchName -SwitchType Private -Confirm:$false
    foreach ($switch in @(Hyper-V\Get-VMSwitch -ComputerName $HostName)) {
        if ($switch.Name -eq $SwitchName -and [string]$switch.SwitchType -eq 'Private') { return }
    }
    throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "New-VMSwitch ended without an error, and $HostName has no private switch '$SwitchName'." -Target $SwitchName)
}

function Remove-FarshoreDrillSwitch {
    <#
    .SYNOPSIS
    Removes the switch of a drill from a host, when nothing is connected to it.
    .PARAMETER HostName
    The host.
    .PARAMETER SwitchName
    Its name.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][string]$SwitchName)
    Assert-DrillSwitch -SwitchName $SwitchName
    foreach ($vm in @(Hyper-V\Get-VM -ComputerName $HostName)) {
        foreach ($adapter in @($vm.NetworkAdapters)) {
            if ([string]$adapter.SwitchName -eq $SwitchName) { throw (New-OwnError -Code 'ERR_CONFLICT' -Message "'$($vm.Name)' is connected to '$SwitchName'." -Target $vm.Name) }
        }
    }
    $names = @(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({ $_.Name })
    if ($names -notcontains $SwitchName) { return }
    Hyper-V\Remove-VMSwitch -ComputerName $HostName -Name $SwitchName -Force -Confirm:$false
    $left = @(Hyper-V\Get-VMSwitch -ComputerName $HostName).ForEach({ $_.Name })
    if ($left -contains $SwitchName) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "Remove-VMSwitch ended without an error, and '$SwitchName' is still there." -Target $SwitchName) }
}
