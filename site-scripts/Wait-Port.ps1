# Waits until a port takes a connection. Parameters: host, port, withinSeconds (default 300).
# The document of the failover comes as JSON on standard input; exit code 0 is success.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$reader = [System.IO.StreamReader]::new([Console]::OpenStandardInput(), [System.Text.Encoding]::UTF8)
$document = $reader.ReadToEnd() | ConvertFrom-Json
$values = $document.parameters
$withinSeconds = 300
if ($values.PSObject.Properties['withinSeconds']) { $withinSeconds = [int]$values.withinSeconds }

$watch = [System.Diagnostics.Stopwatch]::StartNew()
while ($true) {
    $client = [System.Net.Sockets.TcpClient]::new()
    try {
        if ($client.ConnectAsync([string]$values.host, [int]$values.port).Wait(2000)) {
            "$($values.host):$($values.port) takes a connection after $([int]$watch.Elapsed.TotalSeconds) s"
            exit 0
        }
    }
    catch {
        # Refused, or the name is not there yet: it is tried again.
    }
    finally {
        $client.Dispose()
    }
    if ($watch.Elapsed.TotalSeconds -ge $withinSeconds) {
        "$($values.host):$($values.port) has not taken a connection within $withinSeconds s"
        exit 1
    }
    [System.Threading.Thread]::Sleep(500)
}
