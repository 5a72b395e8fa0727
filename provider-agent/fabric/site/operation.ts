/** What a site can be asked to change. */

/** Everything the site does that changes something, by the name of the method of the port. */
export const OPERATIONS = [
  'prepareHosts',
  'releaseHosts',
  'enableReplication',
  'startInitialReplication',
  'importInitialReplication',
  'configureReplica',
  'setReplicationPolicy',
  'removeReplication',
  'deleteVm',
  'prepareFailover',
  'startFailover',
  'stopFailover',
  'completeFailover',
  'becomeReplica',
  'reverseReplication',
  'suspendReplication',
  'resumeReplication',
  'resynchronize',
  'startTestFailover',
  'makeDrillNetwork',
  'removeDrillNetwork',
  'connectTestCopy',
  'startTestVm',
  'stopTestFailover',
  'stopVm',
  'startVm',
  'writeEpoch',
] as const;
export type Operation = (typeof OPERATIONS)[number];
