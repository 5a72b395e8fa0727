/**
 * The one error type that crosses a room's wall: HTTP answers, outcomes of commands and job logs
 * carry its `code`. Code decides; `message` only explains. The table tells an operator what
 * usually causes a code and what to do about it.
 */

interface CodeInfo {
  /** HTTP status the API answers with. */
  http: number;
  /** Can the same request, unchanged, succeed later? */
  retryable: boolean;
  cause: string;
  remedy: string;
}

// biome-ignore format: a table, one code a row
export const errorCodes = {
  // The request
  ERR_REQUEST_INVALID: { http: 422, retryable: false, cause: 'The request does not have the form the API asks for.', remedy: 'Mend the fields listed and send it again.' },
  ERR_DOCUMENT_INVALID: { http: 422, retryable: false, cause: 'The document has unknown fields, wrong units or impossible values.', remedy: 'Mend the lines listed; each says what is allowed.' },
  ERR_NOT_SIGNED_IN: { http: 401, retryable: false, cause: 'No session or token came with the request, or it has ended.', remedy: 'Sign in, or send a valid API token.' },
  ERR_FORBIDDEN: { http: 403, retryable: false, cause: 'The role or the scope of the token does not include this.', remedy: 'Ask an owner of the vault.' },
  ERR_NOT_FOUND: { http: 404, retryable: false, cause: 'There is nothing of that name or id in this vault.', remedy: 'List what there is and check the name.' },
  ERR_CONFLICT: { http: 409, retryable: false, cause: 'Something of that name exists, or it is in use.', remedy: 'Use another name, or end the use first.' },
  ERR_STALE_VERSION: { http: 409, retryable: true, cause: 'Somebody else changed it in between.', remedy: 'Read it again and repeat the change.' },
  ERR_ID_REUSED: { http: 422, retryable: false, cause: 'The id names an earlier request with another content.', remedy: 'Choose a new id.' },
  ERR_TOO_MANY_REQUESTS: { http: 429, retryable: true, cause: 'More requests came than the limit allows.', remedy: 'Wait as long as Retry-After says.' },
  ERR_SETUP_DONE: { http: 410, retryable: false, cause: 'The set-up link was used or has expired; it works once.', remedy: 'Sign in with the account that was made with it.' },
  ERR_SETUP_SECRET_WRONG: { http: 403, retryable: false, cause: 'The secret is not the one that the server printed at its last start, or is older than a day.', remedy: 'Open the newest link on the terminal of the server; each start prints a new one until one was used.' },
  ERR_PASSWORD_WRONG: { http: 401, retryable: false, cause: 'There is no user of that name with that password.', remedy: 'Check both; an owner can add a user.' },

  // Operations
  ERR_OPERATION_NOT_ALLOWED: { http: 409, retryable: false, cause: 'The VM, or the job, is in a state that does not allow this.', remedy: 'The message says which. What is open to a VM is in its allowedOperations; a job tells what waits in it: farshore jobs show.' },
  ERR_VM_BUSY: { http: 409, retryable: true, cause: 'Another job works on this VM.', remedy: 'Wait for the job named, or decide it. One that only waits for a copy can be cancelled.' },
  ERR_AGENT_OFFLINE: { http: 503, retryable: true, cause: 'The provider agent of the site is not connected.', remedy: 'Check the agent and its way out to the control plane.' },
  ERR_PRIMARY_REACHABLE: { http: 409, retryable: false, cause: 'The primary site is connected, so its VMs may still run.', remedy: 'Shut the VMs down there, then attest that they are down (--attest) and say how you know.' },
  ERR_PRIMARY_UNJUDGED: { http: 503, retryable: true, cause: 'The agent of the primary site has been silent for a moment only, or has had no time to come back to a control plane that has just started.', remedy: 'Wait until the moment named, or attest that the VMs are down and say how you know.' },
  ERR_PLAN_EMPTY: { http: 409, retryable: false, cause: 'No member of the plan can be failed over now.', remedy: 'See the reasons listed for each member.' },
  ERR_SETTINGS_DIFFER: { http: 409, retryable: false, cause: 'The VM replicates with other settings than those that are wanted.', remedy: 'See each difference. Say that they are kept, and why (--keep-differences), or brought to the policy (--bring-to-policy).' },
  ERR_POINTS_WOULD_GO: { http: 409, retryable: false, cause: 'Fewer recovery points would be kept than there are now, and those beyond would be deleted.', remedy: 'See how many of each VM. If that is meant, say so and why (--delete-recovery-points), which is kept.' },
  ERR_NOT_A_PAIR: { http: 409, retryable: false, cause: 'What the primary sent last has not arrived at the replica that is here.', remedy: 'Look where the primary replicates to: this replica may be that of an earlier replication.' },
  ERR_TIME_LIMIT: { http: 504, retryable: false, cause: 'It was not done within its time limit; how far it came is not known.', remedy: 'Nothing that follows needs it. Look at the site when you can.' },
  ERR_SITE_UNJUDGED: { http: 503, retryable: true, cause: 'The agent of the site was heard a moment ago, or has had no time to come back to a control plane that has just started: it may still act.', remedy: 'Wait until the moment named. Do not give the site up when its agent is back by then.' },
  ERR_SITE_GIVEN_UP: { http: 409, retryable: false, cause: 'A person decided not to wait for the agent of the site any more; what was done there is not known.', remedy: 'Look at the site when it can be reached again, before anything is started there; then retry or skip the step. A skip looks there first; where the site is away, its VM is interrupted from then on.' },
  ERR_NEWER_DECISION: { http: 409, retryable: false, cause: 'A site has done something with a VM of the job that the control plane knows nothing of. As a rule a backup of its database was put back.', remedy: 'Look at both sites where the VM runs and what is newest. If what the job does next is still right there, let it go on (farshore jobs resume). Else cancel it (farshore jobs cancel): it ends as it stands, and nothing is undone.' },
  ERR_SITE_UNHEARD: { http: 409, retryable: true, cause: 'The control plane was started anew, and a site of the job has not been heard since. If a backup of the database was put back, only the site can tell what it lacks.', remedy: 'Bring the agent of the site back: the job goes on by itself when the site knows nothing newer. If that cannot be, make sure that no VM of the job runs there, and let it go on (farshore jobs resume), or cancel it: it ends as it stands.' },
  ERR_PROTECTED_ANEW: { http: 409, retryable: false, cause: 'The VM was protected again since its protection was ended by force, and the step would end the new one.', remedy: 'Skip the step (farshore jobs skip): whatever was left there is cleaned, or the VM could not have been protected again.' },
  ERR_DRILL_COPIES: { http: 409, retryable: false, cause: 'Test copies of a drill are there, and the request does not say what shall become of them.', remedy: 'Clean the drill up first (farshore drills clean-up), or say that they may stay (--drill-copies leave).' },
  ERR_PLAN_NOT_APPROVED: { http: 409, retryable: false, cause: 'In this vault only a version of a plan that a second person approved is failed over, or runs its scripts in a drill.', remedy: 'Have it approved (farshore plans approve). In an emergency a failover, and no drill, runs with --emergency and a reason, which is kept.' },
  ERR_OWN_APPROVAL: { http: 403, retryable: false, cause: 'Whoever saved a version of a plan cannot approve it.', remedy: 'Ask another operator or owner of the vault.' },
  ERR_COMMAND_OVERDUE: { http: 504, retryable: true, cause: 'The agent has not answered by the deadline; what it did is not known.', remedy: 'When the agent is back it reports; or look at the site and decide the step.' },

  // Registration and certificates
  ERR_KEY_MALFORMED: { http: 422, retryable: false, cause: 'The text is not a registration key, or a part of it is missing.', remedy: 'Copy the whole key as it was shown.' },
  ERR_KEY_UNKNOWN: { http: 403, retryable: false, cause: 'The control plane never made this key, or it was withdrawn.', remedy: 'Make a new registration key for the site.' },
  ERR_KEY_USED: { http: 403, retryable: false, cause: 'A registration key works once, and this one was used.', remedy: 'Make a new key. If nobody of yours used it, revoke the agent it registered.' },
  ERR_KEY_EXPIRED: { http: 403, retryable: false, cause: 'The registration key is past its end.', remedy: 'Make a new registration key for the site.' },
  ERR_KEY_FOREIGN: { http: 403, retryable: false, cause: 'The server at the address is not the control plane that made the key.', remedy: 'Check the address and whether a proxy opens TLS; nothing was sent.' },
  ERR_CSR_INVALID: { http: 422, retryable: false, cause: 'The certificate request is malformed, too weak or not signed by its own key.', remedy: 'Update the agent.' },
  ERR_CERTIFICATE_REVOKED: { http: 403, retryable: false, cause: 'The agent was revoked.', remedy: 'Register the agent again with a new key.' },
  ERR_CERTIFICATE_UNKNOWN: { http: 403, retryable: false, cause: 'The control plane does not know this agent or its key.', remedy: 'Register the agent again with a new key.' },
  ERR_PROOF_INVALID: { http: 403, retryable: false, cause: 'The renewal is not signed by the enrolled key, or is too old.', remedy: 'Check the clocks; else register the agent again.' },
  ERR_ALREADY_REGISTERED: { http: 409, retryable: false, cause: 'This agent is registered already.', remedy: 'Keep it, or register with the option to replace the old identity.' },
  ERR_IDENTITY_DAMAGED: { http: 500, retryable: false, cause: 'Files of the identity are missing from the data folder, or do not fit each other.', remedy: 'Restore the data folder, or register the agent again with a new key.' },
  ERR_JOURNAL_DAMAGED: { http: 500, retryable: false, cause: 'The journal of the agent, which says what it has done and under which decisions, is damaged.', remedy: 'Check the disk and keep the file. An older copy of it would forget what was done since: register the agent again with a new key, in a new data folder.' },
  ERR_SERVICE_FAILED: { http: 500, retryable: false, cause: 'Windows did not do what the service of the agent needs.', remedy: 'See what it said, mend that, and repeat: what was done already is not done twice.' },
  ERR_CONTROL_PLANE_UNREACHABLE: { http: 502, retryable: true, cause: 'The control plane does not answer at its address.', remedy: 'Check name resolution, the way out of the site and the proxy.' },
  ERR_PROXY_REFUSED: { http: 502, retryable: true, cause: 'The proxy is not there, refuses the connection, or does not accept the credentials.', remedy: 'Check the address of the proxy, its rules and its credentials.' },

  // The agent channel
  ERR_PROTOCOL_VERSION: { http: 426, retryable: false, cause: 'Agent and control plane speak versions of the protocol that do not meet.', remedy: 'Update the older of the two.' },
  ERR_MESSAGE_INVALID: { http: 400, retryable: false, cause: 'A message on the agent channel does not fit its schema or is too large or too deep.', remedy: 'Update the older of the two; if it persists, look who else speaks on the channel.' },
  ERR_ENVELOPE_FORGED: { http: 403, retryable: false, cause: 'The signature is not by a key pinned at registration.', remedy: 'Treat it as an attack until it is explained.' },
  ERR_ENVELOPE_FOREIGN: { http: 403, retryable: false, cause: 'The command is for another agent or another vault.', remedy: 'Treat it as an attack until it is explained.' },
  ERR_ENVELOPE_REPLAYED: { http: 403, retryable: false, cause: 'The sequence number was seen before.', remedy: 'Treat it as an attack until it is explained.' },
  ERR_COMMAND_EXPIRED: { http: 504, retryable: true, cause: 'The command reached the agent past its deadline and was not begun.', remedy: 'Retry the step if it is still wanted.' },
  ERR_EPOCH_STALE: { http: 409, retryable: false, cause: 'The site has seen a newer ownership decision for this VM.', remedy: 'Look which site owns the VM now; do not start it here.' },
  ERR_COMMAND_MISMATCH: { http: 409, retryable: false, cause: 'The id of the command was used for another content.', remedy: 'Treat it as a fault of the control plane and report it.' },

  // The fabric
  ERR_VM_NOT_FOUND: { http: 404, retryable: false, cause: 'The fabric does not know the VM.', remedy: 'Check whether it was removed or moved to another cloud.' },
  ERR_CLOUD_NOT_FOUND: { http: 404, retryable: false, cause: 'The fabric does not know the cloud.', remedy: 'Check whether it was removed.' },
  ERR_WRONG_STATE: { http: 409, retryable: false, cause: 'The VM or its replication is not in the state that the operation needs.', remedy: 'Look at the VM and its replication at the site of the step; the log of its agent says under the reference what is there.' },
  ERR_REPLICA_KEPT: { http: 409, retryable: false, cause: 'The recovery site holds a VM of that id already: as a rule the replica that was kept when an earlier protection ended.', remedy: 'Look at it there. If nobody needs it, delete it, and protect the VM again. A pairing whose policy deletes replicas when protection ends leaves none behind.' },
  ERR_REPLICA_FAILED_OVER: { http: 409, retryable: false, cause: 'The replica was failed over at its site before, by hand or by a job that was broken off, so it takes no changes.', remedy: 'Look at the site whether anybody works on it. If nobody does, take that failover back there (Stop-VMFailover) and repeat the operation.' },
  ERR_FIRST_COPY_FOLDER: { http: 409, retryable: false, cause: 'The folder for the first copy cannot be read or written from the host of the VM, or holds no first copy of this VM as it is protected now.', remedy: 'Look whether the folder is there, named as the host sees it, and may be used by it; take the folder that was exported to last. Then retry.' },
  ERR_REPLICATION_SUSPENDED: { http: 409, retryable: false, cause: 'The replication of the VM is suspended at that site: somebody suspended it, and nothing ends that by itself.', remedy: 'Resume it (farshore resume) and repeat the operation. If its primary is lost, fail over unplanned: that works from the recovery points that are there.' },
  ERR_NO_RECOVERY_POINT: { http: 409, retryable: false, cause: 'The replica has no recovery point of the kind asked for.', remedy: 'Choose another recovery point.' },
  ERR_NO_PLACE: { http: 409, retryable: false, cause: 'No host has room for the VM: CPU, memory, storage or network is missing.', remedy: 'See the log of the agent for what is missing on which host.' },
  ERR_NO_ADDRESS: { http: 409, retryable: false, cause: 'The static pool at the recovery site has no free address.', remedy: 'Widen the pool or release addresses.' },
  ERR_NETWORK_NOT_FOUND: { http: 404, retryable: false, cause: 'The fabric does not know the VM network.', remedy: 'Mend the network map of the pairing, or choose another network for the drill.' },
  ERR_NETWORK_NOT_ISOLATED: { http: 409, retryable: false, cause: 'The network for the drill leads out of the site, carries other VMs, or is used by the network map of a pairing.', remedy: 'Choose a network that leads nowhere and that nothing else is connected to, or none.' },
  ERR_TEST_COPY_EXISTS: { http: 409, retryable: false, cause: 'A test copy of the VM is there already: of a drill that was not cleaned up, or made by hand.', remedy: 'Clean the drill up; a copy made by hand is removed at the host with Stop-VMFailover.' },
  ERR_NO_TEST_COPY: { http: 409, retryable: false, cause: 'The test copy of the VM is not there any more: somebody removed it.', remedy: 'Clean the drill up and start it again.' },
  ERR_NOT_PREPARED: { http: 409, retryable: false, cause: 'The hosts of the cloud are not prepared to replicate with that site.', remedy: 'Pair the clouds again.' },
  ERR_BROKER_MISSING: { http: 409, retryable: false, cause: 'A cluster of the cloud has no Hyper-V Replica Broker that is online under the name in agent.yaml.', remedy: 'Make the role in Failover Cluster Manager and name it as replicaServer in agent.yaml, or let the agent make it (makeBroker); the log of the agent says under the reference what is there. Then retry.' },
  ERR_PEER_UNREACHABLE: { http: 502, retryable: true, cause: 'The other site does not answer on its replication address.', remedy: 'Check the line and the firewall between the sites.' },
  ERR_GUEST_SILENT: { http: 504, retryable: true, cause: 'The VM runs, and its guest has not answered in time.', remedy: 'Look at its console; then retry or skip.' },
  ERR_FABRIC_FAILED: { http: 502, retryable: true, cause: 'The fabric refused or failed the operation.', remedy: 'Search the log of the agent for the reference named: what the fabric said stands there. Mend it, then retry.' },
  ERR_FABRIC_TIMEOUT: { http: 504, retryable: true, cause: 'The fabric did not answer within the time limit.', remedy: 'Look at the host; then retry.' },
  ERR_HOST_DOWN: { http: 502, retryable: true, cause: 'The host of the VM is down.', remedy: 'Bring the host back, or let the VM be placed on another.' },

  // Actions of a plan
  ERR_WAIT_TIMEOUT: { http: 504, retryable: false, cause: 'What was waited for did not come about within the time limit.', remedy: 'Look at the site what keeps it; then retry or skip.' },
  ERR_SCRIPT_MISSING: { http: 404, retryable: false, cause: 'The scripts folder of the site holds no script of that name, or the agent has no scripts folder.', remedy: 'Put the script into the folder named in agent.yaml; then retry.' },
  ERR_SCRIPT_CHANGED: { http: 409, retryable: false, cause: 'The script at the site is not the one that the plan was written for: its digest differs.', remedy: 'Look who changed it. Put the right one back, or apply the plan with the new digest.' },
  ERR_SCRIPTS_UNSAFE: { http: 409, retryable: false, cause: 'Others than administrators may write to the scripts folder or to the script, so it was not run.', remedy: 'Let only administrators (root) own and write the folder, the script and all folders above; then retry.' },
  ERR_SCRIPT_FAILED: { http: 409, retryable: false, cause: 'The script ended with an exit code other than 0, or could not be started.', remedy: 'Read its output at the site, under the reference named. Mend it, then retry or skip.' },
  ERR_SCRIPT_TIMEOUT: { http: 504, retryable: false, cause: 'The script did not end within its time limit, and was ended with all that it had started.', remedy: 'Read its output at the site; look what it has done by then. Then retry or skip.' },
  ERR_SCRIPT_UNKNOWN: { http: 409, retryable: false, cause: 'The agent went down while the script ran: whether it ended, and how, is not known. It was not run again.', remedy: 'Look at the site what it has done. Then retry, which runs it again, or skip.' },

  // Everything else
  ERR_PREDECESSOR_FAILED: { http: 409, retryable: false, cause: 'A step that this one needs was undone, or has failed.', remedy: 'Mend what failed there and start the operation again.' },
  ERR_CANCELLED: { http: 409, retryable: false, cause: 'A person cancelled it.', remedy: 'Start it again if it is still wanted.' },
  ERR_STORE_FAILED: { http: 500, retryable: true, cause: 'The database could not write.', remedy: 'Check disk space and the health of the disk.' },
  ERR_INTERNAL: { http: 500, retryable: false, cause: 'A fault in Farshore.', remedy: 'Report it with the log of the moment.' },
} as const satisfies Record<string, CodeInfo>;

export type ErrorCode = keyof typeof errorCodes;

export const ERROR_CODES = Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]];

/** What was done is not known, and must not be done again without a person who has looked. */
export const isUnknownOutcome = (code: ErrorCode): boolean => code === 'ERR_SCRIPT_UNKNOWN';

/** One mistake in something a person wrote: where it is, what is wrong, what is allowed. Lines and columns count from 1. */
export interface Problem {
  message: string;
  allowed?: string;
  field?: string;
  file?: string;
  line?: number;
  column?: number;
}

export class FarshoreError extends Error {
  override readonly name = 'FarshoreError';
  readonly code: ErrorCode;
  /** All mistakes at once, where the input was at fault. */
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }
}

/** Anything thrown, as a FarshoreError; what we did not foresee is ERR_INTERNAL. */
export function toFarshoreError(thrown: unknown): FarshoreError {
  if (thrown instanceof FarshoreError) return thrown;
  return new FarshoreError('ERR_INTERNAL', 'unexpected failure', { cause: thrown });
}
