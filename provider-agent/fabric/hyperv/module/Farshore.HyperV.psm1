<#
.SYNOPSIS
What the provider agent does at Hyper-V hosts: one function for each operation of its fabric port.
.DESCRIPTION
For Windows PowerShell 5.1 and PowerShell 7. Only the language, and the cmdlets of the modules that Windows brings: Hyper-V, NetSecurity, pki, of clusters
FailoverClusters, and where SCVMM manages the hosts VirtualMachineManager, which its console brings.
Each function looks first and refuses what the state does not allow with an error of ours; then it calls the cmdlet; then it looks again,
and what it does not find done is an error, whatever the cmdlet said. Enums are answered as their names and moments as milliseconds since 1970,
because ConvertTo-Json of Windows PowerShell writes numbers that mean nothing elsewhere.
#>
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3.0

. $PSScriptRoot/Farshore.HyperV.Common.ps1
. $PSScriptRoot/Farshore.HyperV.Sc.ps1
. $PSScriptRoot/Farshore.HyperV.Look.ps1
. $PSScriptRoot/Farshore.HyperV.Replication.ps1
. $PSScriptRoot/Farshore.HyperV.FirstCopy.ps1
. $PSScriptRoot/Farshore.HyperV.Suspension.ps1
. $PSScriptRoot/Farshore.HyperV.Failover.ps1
. $PSScriptRoot/Farshore.HyperV.Drill.ps1
. $PSScriptRoot/Farshore.HyperV.Switch.ps1
. $PSScriptRoot/Farshore.HyperV.Machine.ps1
. $PSScriptRoot/Farshore.HyperV.Hosts.ps1
. $PSScriptRoot/Farshore.HyperV.Check.ps1
. $PSScriptRoot/Farshore.HyperV.Broker.ps1
. $PSScriptRoot/Farshore.HyperV.ScInventory.ps1
. $PSScriptRoot/Farshore.HyperV.ScNetwork.ps1
. $PSScriptRoot/Farshore.HyperV.ScAdapter.ps1
. $PSScriptRoot/Farshore.HyperV.ScDrill.ps1

Export-ModuleMember -Function '*-Farshore*'
