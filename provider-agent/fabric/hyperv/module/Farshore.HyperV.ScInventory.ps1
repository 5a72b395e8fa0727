# The inventory as SCVMM has it: clouds with their hosts, VM networks, and the VMs that changed.

function Get-ScCloudView {
    <#
    .SYNOPSIS
    The clouds of these names, each with the hosts of its host groups and of the groups below them.
    #>
    param([string[]]$Name)
    $vmm = Get-Vmm
    $hosts = @(Get-SCVMHost -VMMServer $vmm)
    foreach ($cloudName in $Name) {
        $found = @(Get-SCCloud -VMMServer $vmm -Name $cloudName)
        if ($found.Count -eq 0) {
            $others = @(Get-SCCloud -VMMServer $vmm).ForEach({ "'$($_.Name)'" }) -join ', '
            throw (New-OwnError -Code 'ERR_CLOUD_NOT_FOUND' -Message "SCVMM has no cloud '$cloudName' that the agent may see; it has $others." -Target $cloudName)
        }
        $paths = @(@($found[0].HostGroup).ForEach({ [string]$_.Path }))
        $own = @($hosts.Where({
                    $path = [string]$_.VMHostGroup.Path
                    $paths.Where({ $path -eq $_ -or $path.StartsWith("$_\", [System.StringComparison]::OrdinalIgnoreCase) }).Count -gt 0
                }))
        [pscustomobject]@{
            name = $cloudName
            hosts = [object[]]@($own.ForEach({
                        $cluster = $null
                        if ($null -ne $_.HostCluster) { $cluster = [string]$_.HostCluster.Name }
                        [pscustomobject]@{ name = [string]$_.Name; cluster = $cluster }
                    }))
        }
    }
}

function Get-FarshoreScCloud {
    <#
    .SYNOPSIS
    Clouds of SCVMM with their hosts.
    .PARAMETER Cloud
    Their names.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$Cloud)
    [pscustomobject]@{ clouds = [object[]]@(Get-ScCloudView -Name $Cloud) }
}

function ConvertTo-ScView {
    <#
    .SYNOPSIS
    A VM as the agent reads it from SCVMM; how it replicates is told by its host.
    #>
    param([object]$Machine, [object]$Property)
    $cloud = ''
    if ($null -ne $Machine.Cloud) { $cloud = [string]$Machine.Cloud.Name }
    [pscustomobject]@{
        key = [string]$Machine.ID
        id = [string]$Machine.VMId
        name = [string]$Machine.Name
        host = [string]$Machine.HostName
        cloud = $cloud
        power = [string]$Machine.VirtualMachineState
        networks = [object[]]@(Get-ScAdapterNetwork -Machine $Machine)
        tags = [object[]]@(Get-ScTag -Machine $Machine)
        notes = [object[]]@(Get-ScNote -Machine $Machine -Property $Property)
    }
}

function Get-FarshoreScInventory {
    <#
    .SYNOPSIS
    Clouds, VM networks, and the VMs that SCVMM changed since a moment.
    .PARAMETER Cloud
    The names of the clouds.
    .PARAMETER Since
    By the clock of SCVMM, as the last answer told it; 0 for everything.
    .PARAMETER Also
    Ids of VMs that are told in any case: whether a custom property counts as a change is in no source.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string[]]$Cloud,
        [Parameter(Mandatory = $true)][long]$Since,
        [Parameter(Mandatory = $true)][AllowEmptyCollection()][string[]]$Also
    )
    $vmm = Get-Vmm
    $property = Get-ScProperty
    $asked = @{}
    foreach ($id in $Also) { $asked[$id] = $true }
    [long]$newest = $Since
    $keys = [System.Collections.ArrayList]::new()
    $changed = [System.Collections.ArrayList]::new()
    foreach ($each in @(Get-SCVirtualMachine -VMMServer $vmm -All)) {
        # One in the library, or of another virtualization, has no host of ours or no such id.
        $id = [guid]::Empty
        if ([string]$each.Status -eq 'Missing' -or [string]$each.HostName -eq '' -or -not [guid]::TryParse([string]$each.VMId, [ref]$id)) { continue }
        $null = $keys.Add([string]$each.ID)
        $at = ConvertTo-Moment -Time $each.ModifiedTime
        if ($at -gt $newest) { $newest = $at }
        # Once more those of the last moment: others may have been changed in it after they were read.
        if ($at -ge $Since -or $asked.ContainsKey([string]$each.VMId)) { $null = $changed.Add((ConvertTo-ScView -Machine $each -Property $property)) }
    }
    [pscustomobject]@{
        clouds = [object[]]@(Get-ScCloudView -Name $Cloud)
        networks = [object[]]@(@(Get-SCVMNetwork -VMMServer $vmm).ForEach({ [pscustomobject]@{ id = [string]$_.ID; name = [string]$_.Name } }))
        vms = [object[]]$changed.ToArray()
        keys = $keys.ToArray() -join ' '
        newest = $newest
    }
}

function Get-FarshoreReplication {
    <#
    .SYNOPSIS
    How the VMs of one host replicate, as far as the agent does not know it as it is; those that do not are left out.
    .PARAMETER HostName
    The host.
    .PARAMETER Known
    The stamps of what the agent knows, between blanks.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][AllowEmptyString()][string]$Known)
    $all = @(Hyper-V\Get-VMReplication -ComputerName $HostName).Where({ [string]$_.ReplicationRelationshipType -eq 'Simple' -and [string]$_.ReplicationMode -ne 'TestReplica' })
    $measured = @{}
    if ($all.Where({ Test-FailedOver -VM $_ }, 'First').Count -gt 0) { $measured = Measure-Replication -HostName $HostName }
    $told = @($all.ForEach({
                [pscustomobject]@{
                    id = [string]$_.VMId
                    mode = [string]$_.ReplicationMode
                    state = [string]$_.ReplicationState
                    health = [string]$_.ReplicationHealth
                    stamp = ''
                    measure = $null
                    replication = ConvertTo-ReplicationView -Replication $_ -FailoverType (Get-FailoverType -Measured $measured[[string]$_.VMId])
                }
            }))
    $differences = Select-Difference -Told $told -Known $Known -Measured $measured -HostName $HostName
    [pscustomobject]@{ replications = [object[]]$differences.told; gone = $differences.gone }
}
