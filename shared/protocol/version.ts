/**
 * One integer for the agent channel, raised by one for every change the other side must know about.
 *
 *   1  first release: hello, commands in signed envelopes, outcomes, inventory and replication as changes
 *
 * The control plane speaks the last two; an agent speaks one and says which in its hello.
 */
export const PROTOCOL_VERSION = 1;
export const SPOKEN_BY_CONTROL_PLANE: readonly number[] = [1];
