# Hosts made ready to replicate with another site, and released.

function Import-ReplicationCertificate {
    <#
    .SYNOPSIS
    Puts certificate and root into the stores of a host. Answers the thumbprint.
    .DESCRIPTION
    Neither store has a cmdlet that takes the name of a computer, so this runs at the host.
    #>
    param([string]$HostName, [string]$Pfx, [string]$Passphrase, [string]$RootPem)
    $work = {
        param([string]$Pfx, [string]$Passphrase, [string]$RootPem)
        $ErrorActionPreference = 'Stop'
        $path = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), [System.Guid]::NewGuid().ToString('N'))
        $secret = [System.Security.SecureString]::new()
        foreach ($letter in $Passphrase.ToCharArray()) { $secret.AppendChar($letter) }
        try {
            [System.IO.File]::WriteAllBytes("$path.pfx", [System.Convert]::FromBase64String($Pfx))
            [System.IO.File]::WriteAllText("$path.cer", $RootPem)
            $null = Import-Certificate -FilePath "$path.cer" -CertStoreLocation 'Cert:\LocalMachine\Root'
            $imported = Import-PfxCertificate -FilePath "$path.pfx" -CertStoreLocation 'Cert:\LocalMachine\My' -Password $secret
        }
        finally {
            [System.IO.File]::Delete("$path.pfx")
            [System.IO.File]::Delete("$path.cer")
        }
        foreach ($certificate in @($imported)) { if ($certificate.HasPrivateKey) { return $certificate.Thumbprint } }
    }
    $thumbprint = "$(Invoke-Command -ComputerName $HostName -ScriptBlock $work -ArgumentList $Pfx, $Passphrase, $RootPem)"
    if ($thumbprint -eq '') { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "$HostName has the certificate without its key." -Target $HostName) }
    $thumbprint
}

function Open-ReplicationPort {
    <#
    .SYNOPSIS
    Enables the firewall rule of a host for replicas that come by certificate or by Kerberos. Windows has the rules, disabled.
    .DESCRIPTION
    The display names are those of an English Windows; the source gives no other name that is certain. The port of a rule follows the settings of the replica server.
    #>
    param([string]$HostName, [string]$Authentication)
    $rule = 'Hyper-V Replica HTTPS Listener (TCP-In)'
    if ($Authentication -eq 'Kerberos') { $rule = 'Hyper-V Replica HTTP Listener (TCP-In)' }
    $work = { param([string]$Rule) Enable-NetFirewallRule -DisplayName $Rule -ErrorAction Stop }
    $null = Invoke-Command -ComputerName $HostName -ScriptBlock $work -ArgumentList $rule
}

function Initialize-FarshoreHost {
    <#
    .SYNOPSIS
    A host sends and receives replicas from now on, from the servers named. Repeating it changes nothing but the certificate.
    .DESCRIPTION
    A host that takes replicas from any server is left as open as its people have made it; entries are refused there. One that takes them in the other way too goes on to.
    .PARAMETER HostName
    The host.
    .PARAMETER Authentication
    How hosts prove who they are. With Kerberos there is no certificate, and what is sent is not encrypted.
    .PARAMETER Port
    Where it receives.
    .PARAMETER Pfx
    Certificate, key and chain, base64; with Kerberos none.
    .PARAMETER Passphrase
    What opens it.
    .PARAMETER RootPem
    The root that peers are under; with Kerberos none.
    .PARAMETER StorageLocation
    Where replicas are kept.
    .PARAMETER Sender
    Servers that may send, by full name, or '*.' and a domain.
    .PARAMETER TrustGroup
    Marks the entries of one peer.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)][string]$HostName,
        [Parameter(Mandatory = $true)][ValidateSet('Certificate', 'Kerberos')][string]$Authentication,
        [Parameter(Mandatory = $true)][int]$Port,
        [string]$Pfx,
        [string]$Passphrase,
        [string]$RootPem,
        [Parameter(Mandatory = $true)][string]$StorageLocation,
        [Parameter(Mandatory = $true)][string[]]$Sender,
        [Parameter(Mandatory = $true)][string]$TrustGroup
    )
    $hasCertificate = $Authentication -eq 'Certificate'
    $thumbprint = ''
    if ($hasCertificate) { $thumbprint = Import-ReplicationCertificate -HostName $HostName -Pfx $Pfx -Passphrase $Passphrase -RootPem $RootPem }
    Open-ReplicationPort -HostName $HostName -Authentication $Authentication
    $before = @(Hyper-V\Get-VMReplicationServer -ComputerName $HostName)[0]
    $isOpen = $before.ReplicationEnabled -and $before.ReplicationAllowedFromAnyServer
    $setting = @{ ReplicationEnabled = $true; AllowedAuthenticationType = $Authentication }
    if ($before.ReplicationEnabled -and [string]$before.AllowedAuthenticationType -ne $Authentication) { $setting.AllowedAuthenticationType = 'CertificateAndKerberos' }
    if ($hasCertificate) {
        $setting.CertificateThumbprint = $thumbprint
        $setting.CertificateAuthenticationPort = $Port
    }
    else { $setting.KerberosAuthenticationPort = $Port }
    if (-not $isOpen) { $setting.ReplicationAllowedFromAnyServer = $false }
    Hyper-V\Set-VMReplicationServer -ComputerName $HostName @setting -Force -Confirm:$false
    if (-not $isOpen) {
        $known = @(Hyper-V\Get-VMReplicationAuthorizationEntry -ComputerName $HostName).ForEach({ $_.AllowedPrimaryServer })
        foreach ($name in $Sender) {
            if ($known -contains $name) { continue }
            $null = Hyper-V\New-VMReplicationAuthorizationEntry -ComputerName $HostName -AllowedPrimaryServer $name -ReplicaStorageLocation $StorageLocation -TrustGroup $TrustGroup -Confirm:$false
        }
    }
    $now = @(Hyper-V\Get-VMReplicationServer -ComputerName $HostName)[0]
    $allowed = @(Hyper-V\Get-VMReplicationAuthorizationEntry -ComputerName $HostName).ForEach({ $_.AllowedPrimaryServer })
    $missing = @($Sender.Where({ -not $isOpen -and $allowed -notcontains $_ }))
    $took = if ($hasCertificate) { [string]$now.CertificateThumbprint -eq $thumbprint -and $now.CertificateAuthenticationPort -eq $Port } else { $now.KerberosAuthenticationPort -eq $Port }
    $allows = [string]$now.AllowedAuthenticationType -in $Authentication, 'CertificateAndKerberos'
    if (-not ($now.ReplicationEnabled -and $took -and $allows) -or $missing.Count -gt 0) {
        throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "$HostName did not take its settings as a replica server." -Target $HostName)
    }
}

function Clear-FarshoreHost {
    <#
    .SYNOPSIS
    A host takes no more replicas from the servers of one peer. Certificate, rule and replica server stay: others may use them.
    .PARAMETER HostName
    The host.
    .PARAMETER TrustGroup
    Marks the entries of the peer.
    #>
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$HostName, [Parameter(Mandatory = $true)][string]$TrustGroup)
    $entries = @(Hyper-V\Get-VMReplicationAuthorizationEntry -ComputerName $HostName).Where({ [string]$_.TrustGroup -eq $TrustGroup })
    foreach ($entry in $entries) { Hyper-V\Remove-VMReplicationAuthorizationEntry -VMReplicationAuthorizationEntry $entry -Confirm:$false }
    $left = @(Hyper-V\Get-VMReplicationAuthorizationEntry -ComputerName $HostName).Where({ [string]$_.TrustGroup -eq $TrustGroup })
    if ($left.Count -gt 0) { throw (New-OwnError -Code 'ERR_FABRIC_FAILED' -Message "$HostName still takes replicas of '$TrustGroup'." -Target $HostName) }
}
