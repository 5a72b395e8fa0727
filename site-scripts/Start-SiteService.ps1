# Starts a Windows service on a computer and waits until it runs. Parameters: computer, service, withinSeconds (default 120).
# One that runs already is left alone. The document of the failover comes as JSON on standard input; exit code 0 is success.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$reader = [System.IO.StreamReader]::new([Console]::OpenStandardInput(), [System.Text.Encoding]::UTF8)
$document = $reader.ReadToEnd() | ConvertFrom-Json
$values = $document.parameters
$withinSeconds = 120
if ($values.PSObject.Properties['withinSeconds']) { $withinSeconds = [int]$values.withinSeconds }

$service = Get-Service -ComputerName ([string]$values.computer) -Name ([string]$values.service)
if ([string]$service.Status -eq 'Running') {
    "$($values.service) runs on $($values.computer) already"
    exit 0
}
Start-Service -InputObject $service
# Throws when the time is over, which ends the script with 1.
$service.WaitForStatus('Running', [System.TimeSpan]::FromSeconds($withinSeconds))
"$($values.service) runs on $($values.computer)"
exit 0
