/** What the module tells of this computer, a host and a cluster, for the checks of `hyperv-checks.ts`. */
import { z } from 'zod';
import type { HyperVCloud } from './hyperv-config.ts';

export const ComputerFacts = z.object({ powerShell: z.string(), account: z.string(), modules: z.array(z.string()) });
export type ComputerFacts = z.infer<typeof ComputerFacts>;

export const HyperVFacts = z.object({
  vms: z.int(),
  isReplicaServer: z.boolean(),
  authentication: z.string(),
  /** For certificates. */
  port: z.int(),
  kerberosPort: z.int(),
  thumbprint: z.string(),
  isOpenToAll: z.boolean(),
  trustGroups: z.array(z.string()),
});
export type HyperVFacts = z.infer<typeof HyperVFacts>;

const Certificate = z.object({
  thumbprint: z.string(),
  hasKey: z.boolean(),
  notAfterMs: z.int(),
  usages: z.array(z.string()),
  names: z.array(z.string()),
});
export type StoredCertificate = z.infer<typeof Certificate>;

export const RemoteFacts = z.object({
  windows: z.string(),
  version: z.string(),
  nowMs: z.int(),
  /** By display name; `enabled` is `True` or `False`. */
  rules: z.array(z.object({ name: z.string(), enabled: z.string() })),
  certificates: z.array(Certificate),
});
export type RemoteFacts = z.infer<typeof RemoteFacts>;

export const BrokerFacts = z.object({ brokers: z.array(z.object({ name: z.string(), state: z.string() })) });
export type Broker = z.infer<typeof BrokerFacts>['brokers'][number];

/** Where the facts come from: the module, or a test. Rejects with FabricError. */
export interface FactReader {
  computer(modules: readonly string[]): Promise<ComputerFacts>;
  hyperV(host: string): Promise<HyperVFacts>;
  remote(host: string): Promise<RemoteFacts>;
  brokers(cluster: string): Promise<readonly Broker[]>;
  /** With their hosts, as `agent.yaml` or SCVMM tells them. */
  clouds(): Promise<readonly HyperVCloud[]>;
}
