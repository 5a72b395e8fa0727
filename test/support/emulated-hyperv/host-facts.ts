/** What hosts are beside their VMs: Windows, clock, firewall, certificates, and what an account may not read. The lacks of a test are ordered here. */
import type { CmdletCall } from '../powershell/model-server.ts';
import { StubRefusal } from './stub-call.ts';

export interface EmulatedCertificate {
  readonly thumbprint: string;
  readonly hasKey: boolean;
  readonly endsInDays: number;
  readonly usages: readonly string[];
  readonly names: readonly string[];
}

const DAY_MS = 86_400_000;
export const bothUsages = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];

/** Of all hosts alike: who asks at a host does so by remoting, and the stubs cannot tell which it is. */
export class HostFacts {
  windowsVersion = '10.0.20348';
  clockAheadMs = 0;
  rules: readonly ('True' | 'False')[] = ['True'];
  /** Of the listener for Kerberos; Windows brings it disabled. */
  kerberosRules: readonly ('True' | 'False')[] = ['False'];
  certificates: readonly EmulatedCertificate[] = [];
  /** Cmdlets that the account may not call. */
  readonly denied = new Set<string>();

  refuseDenied({ cmdlet }: CmdletCall): void {
    if (this.denied.has(cmdlet))
      throw new StubRefusal('AccessDenied', 'PermissionDenied', 'You do not have the required permission to complete this task.');
  }

  windows(): object {
    const now = new Date(Date.now() + this.clockAheadMs).toISOString();
    return {
      $type: 'Microsoft.Management.Infrastructure.CimInstance',
      Caption: 'Microsoft Windows Server 2022 Datacenter',
      Version: this.windowsVersion,
      LocalDateTime: { $type: 'DateTime', $value: now },
    };
  }

  ruleObjects(asked: readonly string[]): object[] {
    const rules = { 'Hyper-V Replica HTTPS Listener (TCP-In)': this.rules, 'Hyper-V Replica HTTP Listener (TCP-In)': this.kerberosRules };
    const found = Object.entries(rules).flatMap(([DisplayName, states]) =>
      asked.includes(DisplayName)
        ? states.map((Enabled, i) => ({ $type: 'Microsoft.Management.Infrastructure.CimInstance', Name: `rule${i}`, DisplayName, Enabled }))
        : [],
    );
    if (found.length === 0)
      throw new StubRefusal('CmdletizationQuery_NotFound_DisplayName', 'ObjectNotFound', 'No MSFT_NetFirewallRule objects found.');
    return found;
  }

  certificateObjects(): object[] {
    return this.certificates.map(({ thumbprint, hasKey, endsInDays, usages, names }) => ({
      $type: 'System.Security.Cryptography.X509Certificates.X509Certificate2',
      Thumbprint: thumbprint,
      HasPrivateKey: hasKey,
      NotAfter: { $type: 'DateTime', $value: new Date(Date.now() + endsInDays * DAY_MS).toISOString() },
      EnhancedKeyUsageList: usages.map((ObjectId) => ({ ObjectId })),
      DnsNameList: names.map((Unicode) => ({ Unicode, Punycode: Unicode })),
    }));
  }
}
