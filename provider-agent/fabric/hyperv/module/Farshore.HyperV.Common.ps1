# What all operations share: errors of ours, finding a VM, its state before and after, notes, moments.

function New-OwnError {
    <#
    .SYNOPSIS
    An error of ours: its id is the code that the agent knows.
    #>
    param([string]$Code, [string]$Message, [object]$Target = $null)
    $category = [System.Management.Automation.ErrorCategory]::InvalidOperation
    [System.Management.Automation.ErrorRecord]::new([System.InvalidOperationException]::new($Message), $Code, $category, $Target)
}

function ConvertTo-Moment {
    <#
    .SYNOPSIS
    Milliseconds since 1970 in UTC; nothing for nothing.
    #>
    param([object]$Time)
    if ($null -eq $Time) { return $null }
    $start = [datetime]::new(1970, 1, 1, 0, 0, 0, [System.DateTimeKind]::Utc)
    [long][System.Math]::Round((([datetime]$Time).ToUniversalTime() - $start).TotalMilliseconds)
}

function Find-Machine {
    <#
    .SYNOPSIS
    The VM of that id and the host that it stands on, or nothing when every host has answered and none has it.
    .DESCRIPTION
    What Get-VM says of an id that it does not know is in no source, so a miss is believed only after the list of all VMs of the host.
    #>
    param([string[]]$HostName, [guid]$VMId)
    $silent = @()
    foreach ($name in $HostName) {
        $vm = $null
        try { $vm = Hyper-V\Get-VM -Id $VMId -ComputerName $name }
        catch {
            try { foreach ($each in @(Hyper-V\Get-VM -ComputerName $name)) { if ($each.Id -eq $VMId) { $vm = $each } } }
            catch { $silent += "$name ($($_.Exception.Message))" }
        }
        if ($null -ne $vm) { return [pscustomobject]@{ VM = $vm; HostName = $name } }
    }
    if ($silent.Count -gt 0) { throw (New-OwnError -Code 'ERR_HOST_DOWN' -Message "VM $VMId was not found, and these hosts did not answer: $($silent -join ', ')" -Target $VMId) }
}

function Get-Machine {
    <#
    .SYNOPSIS
    As Find-Machine; that there is none is an error.
    #>
    param([string[]]$HostName, [guid]$VMId)
    $found = Find-Machine -HostName $HostName -VMId $VMId
    if ($null -eq $found) { throw (New-OwnError -Code 'ERR_VM_NOT_FOUND' -Message "There is no VM $VMId on $($HostName -join ', ')." -Target $VMId) }
    $found
}

function Get-Phase {
    <#
    .SYNOPSIS
    Mode and state of the replication of a VM, as one text.
    #>
    param([object]$VM)
    "$([string]$VM.ReplicationMode)/$([string]$VM.ReplicationState)"
}

function Assert-Phase {
    <#
    .SYNOPSIS
    Refuses a VM that is in none of these phases, or not in one of these power states.
    #>
    param([object]$VM, [string[]]$Phase, [string[]]$Power = @(), [string]$Needed)
    $isFit = ($Phase -contains (Get-Phase -VM $VM)) -and ($Power.Count -eq 0 -or $Power -contains [string]$VM.State)
    if ($isFit) { return }
    $message = "It needs $Needed; '$($VM.Name)' is $([string]$VM.State), its replication $(Get-Phase -VM $VM)."
    throw (New-OwnError -Code 'ERR_WRONG_STATE' -Message $message -Target $VM.Name)
}

function Confirm-Phase {
    <#
    .SYNOPSIS
    Looks at the VM again: the cmdlet has ended without an error, and that proves nothing.
    #>
    param([object]$Found, [string[]]$Phase, [string[]]$Power = @(), [string]$After)
    $vm = (Get-Machine -HostName $Found.HostName -VMId $Found.VM.Id).VM
    $isThere = ($Phase.Count -eq 0 -or $Phase -contains (Get-Phase -VM $vm)) -and ($Power.Count -eq 0 -or $Power -contains [string]$vm.State)
    if ($isThere) { return }
    $message = "$After ended without an error, and '$($vm.Name)' is $([string]$vm.State), its replication $(Get-Phase -VM $vm)."
    throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message $message -Target $vm.Name)
}

function Get-Note {
    <#
    .SYNOPSIS
    The lines that Farshore has written into the notes of a VM, without their mark; with a key the value of that one, or nothing.
    .DESCRIPTION
    The epoch and the note of a failover are kept in SCVMM where there is one. An epoch that was written into the notes before there was still counts.
    #>
    param([object]$VM, [string]$Key = '')
    $mark = '[farshore] '
    $lines = @(([string]$VM.Notes) -split "`r?`n").Where({ $_.StartsWith($mark, [System.StringComparison]::Ordinal) }).ForEach({ $_.Substring($mark.Length) })
    if ($null -ne $script:scvmm -and ($Key -eq '' -or (Test-ScNote -Key $Key))) {
        $lines = @(Get-ScNote -Machine (Get-ScMachine -VM $VM) -Property (Get-ScProperty)) + @($lines).Where({ -not $_.StartsWith('failover=', [System.StringComparison]::Ordinal) })
    }
    if ($Key -eq '') { return $lines }
    $own = @($lines).Where({ $_.StartsWith("$Key=", [System.StringComparison]::Ordinal) })
    if ($own.Count -gt 0) { $own[0].Substring($Key.Length + 1) }
}

function Set-Note {
    <#
    .SYNOPSIS
    Writes a line of Farshore into the notes of a VM, or into SCVMM, or without a value takes it out; lines of others stay. Looks again.
    #>
    param([object]$Found, [string]$Key, [string]$Value = '')
    $vm = (Get-Machine -HostName $Found.HostName -VMId $Found.VM.Id).VM
    if ("$(Get-Note -VM $vm -Key $Key)" -ceq $Value) { return }
    if (Test-ScNote -Key $Key) { Set-ScNote -VM $vm -Key $Key -Value $Value }
    else {
        $start = "[farshore] $Key="
        $kept = @(@(([string]$vm.Notes) -split "`r?`n").Where({ $_ -ne '' -and -not $_.StartsWith($start, [System.StringComparison]::Ordinal) }))
        if ($Value -ne '') { $kept += "$start$Value" }
        Hyper-V\Set-VM -VM $vm -Notes ($kept -join "`r`n") -Confirm:$false
    }
    $vm = (Get-Machine -HostName $Found.HostName -VMId $Found.VM.Id).VM
    if ("$(Get-Note -VM $vm -Key $Key)" -cne $Value) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "The notes of '$($vm.Name)' did not take '$Key'." -Target $vm.Name) }
}

function ConvertTo-NameList {
    <#
    .SYNOPSIS
    Names of switches, one for each adapter and empty for none, as one text without line ends.
    #>
    param([string[]]$Name)
    @($Name).ForEach({ if ([string]::IsNullOrEmpty($_)) { '/' } else { [System.Uri]::EscapeDataString($_) } }) -join ','
}

function ConvertFrom-NameList {
    <#
    .SYNOPSIS
    The names in such a text.
    #>
    param([string]$Text)
    @($Text -split ',').ForEach({ if ($_ -eq '/') { '' } else { [System.Uri]::UnescapeDataString($_) } })
}

function Get-Replication {
    <#
    .SYNOPSIS
    How a VM replicates, or nothing; of a VM in a chain the relationship with its primary or first replica.
    #>
    param([object]$VM)
    if ([string]$VM.ReplicationMode -in 'None', 'TestReplica') { return }
    foreach ($each in @(Hyper-V\Get-VMReplication -VM $VM)) { if ([string]$each.ReplicationRelationshipType -eq 'Simple') { return $each } }
}

function Get-Around {
    <#
    .SYNOPSIS
    What the surroundings know of a VM: the network of each adapter, empty for none, and its tags. Networks are switches by name; where there is SCVMM, VM networks by id.
    #>
    param([object]$VM)
    if ($null -ne $script:scvmm) { return Get-ScAround -VM $VM }
    [pscustomobject]@{
        networks = @(@($VM.NetworkAdapters).ForEach({ [string]$_.SwitchName }))
        tags = @(@($VM.Groups).Where({ $null -ne $_ }).ForEach({ [string]$_.Name }))
    }
}

function Connect-Adapter {
    <#
    .SYNOPSIS
    Connects the adapters of a VM by their order to networks of these names; an empty name disconnects.
    #>
    param([object]$Found, [string[]]$SwitchName)
    if ($null -ne $script:scvmm) { return Connect-ScAdapter -Found $Found -NetworkId $SwitchName }
    $adapters = @(Hyper-V\Get-VMNetworkAdapter -VM $Found.VM)
    $known = @(Hyper-V\Get-VMSwitch -ComputerName $Found.HostName).ForEach({ $_.Name })
    foreach ($wanted in $SwitchName) {
        if ($wanted -ne '' -and $known -notcontains $wanted) { throw (New-OwnError -Code 'ERR_NETWORK_NOT_FOUND' -Message "$($Found.HostName) has no switch '$wanted'." -Target $wanted) }
    }
    for ($i = 0; $i -lt $adapters.Count; $i++) {
        $wanted = ''
        if ($i -lt $SwitchName.Count) { $wanted = $SwitchName[$i] }
        if ([string]$adapters[$i].SwitchName -eq $wanted) { continue }
        if ($wanted -eq '') { Hyper-V\Disconnect-VMNetworkAdapter -VMNetworkAdapter $adapters[$i] -Confirm:$false }
        else { Hyper-V\Connect-VMNetworkAdapter -VMNetworkAdapter $adapters[$i] -SwitchName $wanted -Confirm:$false }
    }
}
