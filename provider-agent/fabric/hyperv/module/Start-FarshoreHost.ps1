<#
.SYNOPSIS
Answers the agent: one request a line on standard input, one answer a line on standard output.
.DESCRIPTION
A request is { id, function, arguments, scvmm }, its answer { id, ok, value } or { id, ok, error { id, category, message, target } }. A function is one
that the module exports and nothing else; arguments come as data and are bound by name. Where SCVMM manages the hosts, scvmm is { server, port }. The streams are opened here, as UTF-8, so that
neither a code page nor a host program changes them. The end of the input is the end of the process.
.PARAMETER ModulePath
The module whose exported functions may be asked for.
#>
[CmdletBinding()]
param([Parameter(Mandatory = $true)][string]$ModulePath)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
Set-StrictMode -Version 3.0

$utf8 = [System.Text.UTF8Encoding]::new($false)
$reader = [System.IO.StreamReader]::new([System.Console]::OpenStandardInput(), $utf8)
$writer = [System.IO.StreamWriter]::new([System.Console]::OpenStandardOutput(), $utf8)
$writer.AutoFlush = $true

$module = Import-Module -Name $ModulePath -PassThru
$operations = $module.ExportedFunctions
$writer.WriteLine((ConvertTo-Json -Compress -InputObject @{ id = 'ready'; ok = $true; value = [string]$PSVersionTable.PSVersion }))

while ($null -ne ($line = $reader.ReadLine())) {
    $id = ''
    try {
        $request = ConvertFrom-Json -InputObject $line
        $id = [string]$request.id
        $operation = $null
        if (-not $operations.TryGetValue([string]$request.function, [ref]$operation)) { throw "The module has no function '$($request.function)'." }
        $parameters = @{}
        foreach ($argument in $request.arguments.PSObject.Properties) { $parameters[$argument.Name] = $argument.Value }
        if ($operations.ContainsKey('Set-FarshoreScvmm')) {
            $place = @{}
            if ($null -ne $request.scvmm) { $place = @{ Server = [string]$request.scvmm.server; Port = [int]$request.scvmm.port } }
            Set-FarshoreScvmm @place
        }
        $value = & $operation @parameters
        # What a function that answers nothing leaves behind is not the null that JSON knows.
        if ($null -eq $value) { $value = $null }
        $answer = @{ id = $id; ok = $true; value = $value }
    }
    catch {
        $target = $null
        if ($null -ne $_.TargetObject) { $target = [string]$_.TargetObject }
        $told = @{ id = [string]$_.FullyQualifiedErrorId; category = [string]$_.CategoryInfo.Category; message = $_.Exception.Message; target = $target }
        $answer = @{ id = $id; ok = $false; error = $told }
        # Whatever it was: a connection that has died must not be asked for ever.
        if ($operations.ContainsKey('Reset-FarshoreScvmm')) { Reset-FarshoreScvmm }
    }
    $writer.WriteLine((ConvertTo-Json -Compress -Depth 8 -InputObject $answer))
}
