# Leads a name to where the application runs now. Parameters: server (the DNS server), zone, name; address (default: the first address
# of the first VM of the group or member, as the site knows it); ttlSeconds (default 60). Needs the module DnsServer.
# The new record is there before the old ones go, and a record that is right already is left alone.
# The document of the failover comes as JSON on standard input; exit code 0 is success.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$reader = [System.IO.StreamReader]::new([Console]::OpenStandardInput(), [System.Text.Encoding]::UTF8)
$document = $reader.ReadToEnd() | ConvertFrom-Json
$values = $document.parameters
$ttlSeconds = 60
if ($values.PSObject.Properties['ttlSeconds']) { $ttlSeconds = [int]$values.ttlSeconds }

$address = ''
if ($values.PSObject.Properties['address']) { $address = [string]$values.address }
else {
    foreach ($vm in @($document.vms)) {
        foreach ($candidate in @($vm.addresses)) { if ($address -eq '') { $address = [string]$candidate } }
    }
}
$parsed = [System.Net.IPAddress]::None
if (-not [System.Net.IPAddress]::TryParse($address, [ref]$parsed)) { throw "there is no address to lead $($values.name) to: '$address'" }

$where = @{ ComputerName = [string]$values.server; ZoneName = [string]$values.zone }
$old = @(Get-DnsServerResourceRecord @where -Name ([string]$values.name) -RRType 'A' -ErrorAction SilentlyContinue)
$isThere = $false
foreach ($record in $old) { if ([string]$record.RecordData.IPv4Address -eq $address) { $isThere = $true } }
if (-not $isThere) {
    Add-DnsServerResourceRecordA @where -Name ([string]$values.name) -IPv4Address $address -TimeToLive ([System.TimeSpan]::FromSeconds($ttlSeconds))
}
foreach ($record in $old) {
    if ([string]$record.RecordData.IPv4Address -ne $address) { Remove-DnsServerResourceRecord @where -InputObject $record -Force }
}
"$($values.name).$($values.zone) leads to $address"
exit 0
