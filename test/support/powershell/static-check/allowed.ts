/** What the static check would find and lets pass, each with the reason. */

export interface Allowed {
  readonly rule: string;
  /** The name of the command, type or function that the finding is about. */
  readonly subject: string;
  readonly reason: string;
}

const dnsServer = 'module DnsServer; a site script that is an example, its cmdlets are not in the contract';
const sqlServer = 'module SqlServer; a site script that is an example, its cmdlets are not in the contract';

export const allowed: readonly Allowed[] = [
  {
    rule: 'text',
    subject: '$operation',
    reason: 'the host calls one of the functions that the module exports, looked up in that list by its name',
  },
  { rule: 'command', subject: 'Get-DnsServerResourceRecord', reason: dnsServer },
  { rule: 'command', subject: 'Add-DnsServerResourceRecordA', reason: dnsServer },
  { rule: 'command', subject: 'Remove-DnsServerResourceRecord', reason: dnsServer },
  { rule: 'command', subject: 'Switch-SqlAvailabilityGroup', reason: sqlServer },
  { rule: 'command', subject: 'Encode-SqlName', reason: sqlServer },
];
