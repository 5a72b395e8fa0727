/**
 * For how long the word of the control plane holds at an agent (docs/adr/0019). An agent changes something at its site only while the
 * control plane has answered what it asked less than a lease ago; it asks three times within one, so that a lost answer costs nothing.
 */
export const LEASE_MS = 30_000;

/**
 * An agent that was not heard for so long changes nothing more by what it was told before: one lease counts from what was heard last,
 * one is for a clock at the site that was set back within it, and one is in hand.
 */
export const ACTS_NO_MORE_AFTER_MS = 3 * LEASE_MS;
