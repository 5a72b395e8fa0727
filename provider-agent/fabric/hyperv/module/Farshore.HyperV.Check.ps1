# Looking at what the agent needs at this computer, at a host and at a cluster. Nothing here changes anything.

function Get-FarshoreComputerFact {
    <#
    .SYNOPSIS
    PowerShell, account and modules of this computer.
    .PARAMETER ModuleName
    The modules that are looked for.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string[]]$ModuleName)
    [pscustomobject]@{
        powerShell = [string]$PSVersionTable.PSVersion
        account = "$([System.Environment]::UserDomainName)\$([System.Environment]::UserName)"
        modules = [object[]]@(@(Get-Module -ListAvailable -Name $ModuleName).ForEach({ $_.Name }))
    }
}

function Get-FarshoreHyperVFact {
    <#
    .SYNOPSIS
    What Hyper-V at a host says to this account: its VMs, and its settings as a replica server.
    .PARAMETER HostName
    The host.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName)
    $vms = @(Hyper-V\Get-VM -ComputerName $HostName)
    $server = @(Hyper-V\Get-VMReplicationServer -ComputerName $HostName)[0]
    [pscustomobject]@{
        vms = $vms.Count
        isReplicaServer = [bool]$server.ReplicationEnabled
        authentication = [string]$server.AllowedAuthenticationType
        port = [int]$server.CertificateAuthenticationPort
        kerberosPort = [int]$server.KerberosAuthenticationPort
        thumbprint = [string]$server.CertificateThumbprint
        isOpenToAll = [bool]$server.ReplicationAllowedFromAnyServer
        trustGroups = [object[]]@(@(Hyper-V\Get-VMReplicationAuthorizationEntry -ComputerName $HostName).ForEach({ [string]$_.TrustGroup }))
    }
}

function Get-FarshoreRemoteFact {
    <#
    .SYNOPSIS
    What only the host itself tells: Windows, its clock, firewall rules, the certificates of the computer.
    .PARAMETER HostName
    The host.
    .PARAMETER Rule
    Display names of the firewall rules.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][string[]]$Rule)
    $work = {
        param([string[]]$Rule)
        $ErrorActionPreference = 'Stop'
        $windows = @(Get-CimInstance -ClassName 'Win32_OperatingSystem')[0]
        $rules = @()
        foreach ($name in $Rule) {
            try { $rules += @(Get-NetFirewallRule -DisplayName $name -ErrorAction Stop) }
            catch { if ([string]$_.CategoryInfo.Category -ne 'ObjectNotFound') { throw } }
        }
        $certificates = @(Get-ChildItem -Path 'Cert:\LocalMachine\My').ForEach({
            [pscustomobject]@{
                thumbprint = [string]$_.Thumbprint
                hasKey = [bool]$_.HasPrivateKey
                notAfter = ([datetime]$_.NotAfter).ToUniversalTime()
                usages = [object[]]@(@($_.EnhancedKeyUsageList).ForEach({ [string]$_.ObjectId }))
                names = [object[]]@(@($_.DnsNameList).ForEach({ [string]$_.Unicode }))
            }
        })
        [pscustomobject]@{
            windows = [string]$windows.Caption
            version = [string]$windows.Version
            now = ([datetime]$windows.LocalDateTime).ToUniversalTime()
            rules = [object[]]@($rules.ForEach({ [pscustomobject]@{ name = [string]$_.DisplayName; enabled = [string]$_.Enabled } }))
            certificates = [object[]]@($certificates)
        }
    }
    $told = Invoke-Command -ComputerName $HostName -ScriptBlock $work -ArgumentList (, $Rule)
    [pscustomobject]@{
        windows = [string]$told.windows
        version = [string]$told.version
        nowMs = ConvertTo-Moment -Time $told.now
        rules = [object[]]@(@($told.rules).ForEach({ [pscustomobject]@{ name = [string]$_.name; enabled = [string]$_.enabled } }))
        certificates = [object[]]@(@($told.certificates).ForEach({
            [pscustomobject]@{
                thumbprint = [string]$_.thumbprint
                hasKey = [bool]$_.hasKey
                notAfterMs = ConvertTo-Moment -Time $_.notAfter
                usages = [object[]]@($_.usages)
                names = [object[]]@($_.names)
            }
        }))
    }
}

function Get-FarshoreBroker {
    <#
    .SYNOPSIS
    The Replica Brokers of a cluster, with their states.
    .PARAMETER Cluster
    The cluster.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$Cluster)
    $brokers = @(Get-Broker -ClusterName $Cluster)
    [pscustomobject]@{ brokers = [object[]]@($brokers.ForEach({ [pscustomobject]@{ name = [string]$_.Name; state = [string]$_.State } })) }
}
