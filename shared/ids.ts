/** Branded ids: the compiler refuses a SiteId where a VmId is wanted. */
import { z } from 'zod';

export const VaultId = z.uuid().brand('VaultId');
export type VaultId = z.infer<typeof VaultId>;

export const SiteId = z.uuid().brand('SiteId');
export type SiteId = z.infer<typeof SiteId>;

export const AgentId = z.uuid().brand('AgentId');
export type AgentId = z.infer<typeof AgentId>;

/** The fabric's own id of a cloud; known only together with its site. */
export const CloudId = z.uuid().brand('CloudId');
export type CloudId = z.infer<typeof CloudId>;

/** The fabric's own id of a VM. A replica carries the id of its primary (Hyper-V Replica keeps it). */
export const VmId = z.uuid().brand('VmId');
export type VmId = z.infer<typeof VmId>;

/** The fabric's own id of a VM network. */
export const NetworkId = z.uuid().brand('NetworkId');
export type NetworkId = z.infer<typeof NetworkId>;

export const PairingId = z.uuid().brand('PairingId');
export type PairingId = z.infer<typeof PairingId>;

/** One logical VM with two placements. */
export const ProtectedVmId = z.uuid().brand('ProtectedVmId');
export type ProtectedVmId = z.infer<typeof ProtectedVmId>;

/** A rule that protects VMs of a pairing by itself. */
export const RuleId = z.uuid().brand('RuleId');
export type RuleId = z.infer<typeof RuleId>;

export const PlanId = z.uuid().brand('PlanId');
export type PlanId = z.infer<typeof PlanId>;

export const UserId = z.uuid().brand('UserId');
export type UserId = z.infer<typeof UserId>;

/** A run of one operation. The client chooses it, so a repeated POST is the same job. */
export const JobId = z.uuid().brand('JobId');
export type JobId = z.infer<typeof JobId>;

/** Names a step inside its job, for instance `start/3f0c6e1e-...`. */
export const StepId = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9/_.-]{0,119}$/)
  .brand('StepId');
export type StepId = z.infer<typeof StepId>;

/** One attempt of one step: `<job>/<step>/<attempt>`, with `/undo` for its undoing. The same on every delivery. */
export const CommandId = z.string().min(1).max(200).brand('CommandId');
export type CommandId = z.infer<typeof CommandId>;

/** Attempts of one step, and what undoes them. */
export function isOfSameStep(one: CommandId, other: CommandId): boolean {
  const stepOf = (id: CommandId) => id.replace(/\/\d+(\/undo)?$/, '');
  return stepOf(one) === stepOf(other);
}

/** Where a VM stands: its cloud at the site that is spoken to. One site may carry both clouds of a pairing. */
export const VmRef = z.strictObject({ cloudId: CloudId, vmId: VmId });
export type VmRef = z.infer<typeof VmRef>;
