# Fails a SQL Server Always On availability group over to the instance that takes over: a channel action. Needs the module SqlServer.
#   planned  only when every database there is synchronized, so that nothing is lost
#   forced   when the primary cannot be asked: what had not arrived is lost
# One that has failed over already is left alone. Parameter: waitSeconds (default 120), how long the role may take to change.
# The document of the failover comes as JSON on standard input; exit code 0 is success, 2 says that a planned failover would lose data.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$reader = [System.IO.StreamReader]::new([Console]::OpenStandardInput(), [System.Text.Encoding]::UTF8)
$document = $reader.ReadToEnd() | ConvertFrom-Json
$channel = $document.channel
$waitSeconds = 120
if ($document.PSObject.Properties['parameters'] -and $document.parameters.PSObject.Properties['waitSeconds']) {
    $waitSeconds = [int]$document.parameters.waitSeconds
}

$parts = ([string]$channel.secondary).Split('\')
$instance = 'DEFAULT'
if ($parts.Count -gt 1) { $instance = $parts[1] }
# The provider reads these as parts of a path: what would end a part is encoded.
$group = Encode-SqlName ([string]$channel.name)
$path = "SQLSERVER:\Sql\$($parts[0])\$(Encode-SqlName $instance)\AvailabilityGroups\$group"

function Get-Group {
    $found = Get-Item -LiteralPath $path
    $found.Refresh()
    $found
}

$state = Get-Group
if ([string]$state.LocalReplicaRole -eq 'Primary') {
    "$($channel.name) is primary at $($channel.secondary) already"
    exit 0
}
if ([string]$channel.mode -eq 'planned') {
    $behind = @($state.DatabaseReplicaStates).Where({ $_.IsLocal -and -not $_.IsFailoverReady })
    if ($behind.Count -gt 0) {
        "not synchronized at $($channel.secondary): $($behind.ForEach({ $_.AvailabilityDatabaseName }) -join ', ')"
        exit 2
    }
    Switch-SqlAvailabilityGroup -Path $path -Confirm:$false
}
else {
    Switch-SqlAvailabilityGroup -Path $path -AllowDataLoss -Force -Confirm:$false
}

$watch = [System.Diagnostics.Stopwatch]::StartNew()
while ([string](Get-Group).LocalReplicaRole -ne 'Primary') {
    if ($watch.Elapsed.TotalSeconds -ge $waitSeconds) { throw "$($channel.name) is not primary at $($channel.secondary) after $waitSeconds s" }
    [System.Threading.Thread]::Sleep(500)
}
"$($channel.name) is primary at $($channel.secondary) ($($channel.mode))"
exit 0
