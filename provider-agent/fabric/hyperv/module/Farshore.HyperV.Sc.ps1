# SCVMM, where a request names one: the connection, the VM there that a VM of a host is, and what Farshore keeps with it.

$script:scvmm = $null
$script:connections = @{}
$script:propertyName = 'Farshore'

function Set-FarshoreScvmm {
    <#
    .SYNOPSIS
    Says which SCVMM server manages the hosts that are asked for next; without a name it is none.
    .PARAMETER Server
    Its name.
    .PARAMETER Port
    Its port.
    #>
    [CmdletBinding()]
    param([AllowEmptyString()][string]$Server = '', [int]$Port = 8100)
    $script:scvmm = $null
    if ($Server -ne '') { $script:scvmm = [pscustomobject]@{ Server = $Server; Port = $Port } }
}

function Reset-FarshoreScvmm {
    <#
    .SYNOPSIS
    Forgets the connections: the next function makes its own.
    #>
    [CmdletBinding()]
    param()
    $script:connections.Clear()
}

function Get-Vmm {
    <#
    .SYNOPSIS
    The connection to the SCVMM server.
    #>
    param()
    $key = "$($script:scvmm.Server):$($script:scvmm.Port)"
    if (-not $script:connections.ContainsKey($key)) {
        try { $script:connections[$key] = Get-SCVMMServer -ComputerName $script:scvmm.Server -TCPPort $script:scvmm.Port }
        catch {
            $message = "SCVMM at $key does not let the agent in: $($_.Exception.Message) Check its service and its port, and that the account of the agent has a role there."
            throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message $message -Target $key)
        }
    }
    $script:connections[$key]
}

function Test-SameHost {
    <#
    .SYNOPSIS
    Whether two names, with a domain or without, are those of one host.
    #>
    param([string]$One, [string]$Other)
    if ($One -eq $Other) { return $true }
    ($One -split '\.')[0] -eq ($Other -split '\.')[0] -and ($One.IndexOf('.') -lt 0 -or $Other.IndexOf('.') -lt 0)
}

function Find-ScMachine {
    <#
    .SYNOPSIS
    A VM of a host as SCVMM knows it, or nothing. A primary and its replica have one name and one id there, on two hosts.
    .DESCRIPTION
    By its name, since SCVMM does not look for the id that a host has given; among all where the name was in vain: it may be another one there, or hold wildcards.
    #>
    param([object]$VM, [switch]$AmongAll)
    if ($AmongAll) { $machines = @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -All) } else { $machines = @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -Name $VM.Name) }
    foreach ($each in $machines) {
        if ([string]$each.VMId -eq [string]$VM.Id -and (Test-SameHost -One $each.HostName -Other $VM.ComputerName)) { return $each }
    }
}

function Update-ScHost {
    <#
    .SYNOPSIS
    SCVMM looks which VMs a host has.
    #>
    param([string]$HostName)
    $found = @(Get-SCVMHost -VMMServer (Get-Vmm) -ComputerName $HostName)
    if ($found.Count -eq 0) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "SCVMM does not manage the host $HostName." -Target $HostName) }
    $null = Read-SCVirtualMachine -VMHost $found[0]
}

function Get-ScMachine {
    <#
    .SYNOPSIS
    As Find-ScMachine; SCVMM is told to look before it is believed that it knows no such VM, and then that is an error.
    #>
    param([object]$VM)
    $machine = Find-ScMachine -VM $VM
    if ($null -eq $machine) {
        Update-ScHost -HostName $VM.ComputerName
        $machine = Find-ScMachine -VM $VM -AmongAll
    }
    if ($null -eq $machine) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "SCVMM does not know '$($VM.Name)', which stands on $($VM.ComputerName)." -Target $VM.Name) }
    $machine
}

function Test-ScNote {
    <#
    .SYNOPSIS
    Whether a line is kept in SCVMM and not in the notes of the VM.
    #>
    param([string]$Key)
    $null -ne $script:scvmm -and ($Key -eq 'failover' -or $Key.StartsWith('epoch/', [System.StringComparison]::Ordinal))
}

function Get-ScProperty {
    <#
    .SYNOPSIS
    The custom property that the lines are kept in, or nothing as long as there is none.
    #>
    param()
    foreach ($each in @(Get-SCCustomProperty -VMMServer (Get-Vmm) -Name $script:propertyName)) { return $each }
}

function Get-ScNote {
    <#
    .SYNOPSIS
    The lines that are kept with a VM in SCVMM.
    #>
    param([object]$Machine, [object]$Property)
    if ($null -eq $Property) { return }
    foreach ($value in @(Get-SCCustomPropertyValue -VMMServer (Get-Vmm) -InputObject $Machine -CustomProperty $Property)) {
        @(([string]$value.Value) -split '; ').Where({ $_ -ne '' }).ForEach({ $_.Replace('%3B', ';').Replace('%25', '%') })
    }
}

function Set-ScNote {
    <#
    .SYNOPSIS
    Keeps a line with a VM in SCVMM, or without a value takes it out.
    #>
    param([object]$VM, [string]$Key, [string]$Value)
    $machine = Get-ScMachine -VM $VM
    $property = Get-ScProperty
    if ($null -eq $property) { $property = New-SCCustomProperty -VMMServer (Get-Vmm) -Name $script:propertyName -Description 'Kept by Farshore. Leave it as it is.' -AddMember 'VM' }
    $lines = @(@(Get-ScNote -Machine $machine -Property $property).Where({ -not $_.StartsWith("$Key=", [System.StringComparison]::Ordinal) }))
    if ($Value -ne '') { $lines += "$Key=$Value" }
    if ($lines.Count -gt 0) {
        $text = $lines.ForEach({ $_.Replace('%', '%25').Replace(';', '%3B') }) -join '; '
        $null = Set-SCCustomPropertyValue -InputObject $machine -CustomProperty $property -Value $text
        return
    }
    foreach ($old in @(Get-SCCustomPropertyValue -VMMServer (Get-Vmm) -InputObject $machine -CustomProperty $property)) {
        $null = Remove-SCCustomPropertyValue -CustomPropertyValue $old -Confirm:$false
    }
}

function Get-ScAdapterNetwork {
    <#
    .SYNOPSIS
    The id of the VM network of each adapter, empty for none. SCVMM keeps it, and the host says whether it is connected.
    #>
    param([object]$Machine, [object]$VM = $null)
    $switches = $null
    if ($null -ne $VM) { $switches = @(@($VM.NetworkAdapters).ForEach({ [string]$_.SwitchName })) }
    $i = 0
    foreach ($adapter in @($Machine.VirtualNetworkAdapters)) {
        $isConnected = $null -eq $switches -or ($i -lt $switches.Count -and $switches[$i] -ne '')
        if ($isConnected -and $null -ne $adapter.VMNetwork) { [string]$adapter.VMNetwork.ID } else { '' }
        $i++
    }
}

function Get-ScTag {
    <#
    .SYNOPSIS
    The tags of a VM: SCVMM has one text for all of them.
    #>
    param([object]$Machine)
    @(([string]$Machine.Tag) -split '[,;]').ForEach({ $_.Trim() }).Where({ $_ -ne '' -and $_ -ne '(none)' })
}

function Get-ScAround {
    <#
    .SYNOPSIS
    What SCVMM knows of a VM of a host, as Get-Around.
    #>
    param([object]$VM)
    $machine = Get-ScMachine -VM $VM
    [pscustomobject]@{
        networks = @(Get-ScAdapterNetwork -Machine $machine -VM $VM)
        tags = @(Get-ScTag -Machine $machine)
    }
}

function Clear-ScRecord {
    <#
    .SYNOPSIS
    SCVMM looks which VMs a host has, and forgets one that was removed there.
    .DESCRIPTION
    SCVMM goes on listing a VM that was removed at the host, as missing. Only such a record is taken out, and never a file.
    #>
    param([string]$HostName, [guid]$Gone)
    Update-ScHost -HostName $HostName
    foreach ($each in @(Get-SCVirtualMachine -VMMServer (Get-Vmm) -All)) {
        if ([string]$each.VMId -ne [string]$Gone -or [string]$each.Status -ne 'Missing' -or -not (Test-SameHost -One $each.HostName -Other $HostName)) { continue }
        $null = Remove-SCVirtualMachine -VM $each -SkipFileRemoval -Force -Confirm:$false
    }
}
