/** Preparing the hosts of a cloud to replicate with another site, and taking that back. Sites of this kind replicate with certificates only. */
import type { CloudId, PairingId } from '../../../shared/ids.ts';
import type { HostsPreparation } from '../fabric.ts';
import { FabricError } from '../fabric-error.ts';
import { joinPlanted } from './planted-replication.ts';
import { accessDenied, cloudNotFound, cmdletClass, hostDown } from './refusals.ts';
import type { ReplicationDoor } from './replication-door.ts';
import type { Work } from './task-runner.ts';
import type { World } from './world.ts';

export function prepareHostsWork(world: World, door: ReplicationDoor, preparation: HostsPreparation): Work<{ readonly address: string }> {
  const { pairingId, cloudId, port } = preparation;
  const check = () => {
    const cloud = world.hosts.cloud(cloudId);
    if (cloud === null) throw cloudNotFound('prepareHosts', cloudId);
    refuseKerberos(preparation);
    const down = cloud.hosts.find((host) => !world.hosts.isUp(host));
    if (down !== undefined) throw hostDown('prepareHosts', down);
    const without = cloud.hosts.find((host) => !preparation.certificates.some((certificate) => certificate.host === host));
    if (without !== undefined) throw accessDenied('prepareHosts', `No certificate came for the host '${without}'.`);
  };
  const withThis = () => [...world.preparations.all().filter((p) => p.pairingId !== pairingId || p.cloudId !== cloudId), preparation];
  let address = '';
  return {
    operation: 'prepareHosts',
    subject: { cloudId },
    check,
    async prepare() {
      check();
      door.usePreparations(withThis());
      address = await door.open(port);
    },
    effect() {
      world.preparations.put(preparation);
      joinPlanted(world.vms, preparation, world.clock.now());
      return { address };
    },
    lie: () => ({ address: door.lastAddress() ?? '127.0.0.1:1' }),
  };
}

export function releaseHostsWork(world: World, door: ReplicationDoor, pairingId: PairingId, cloudId: CloudId): Work<void> {
  const check = () => {
    if (world.hosts.cloud(cloudId) === null) throw cloudNotFound('releaseHosts', cloudId);
  };
  return {
    operation: 'releaseHosts',
    subject: { cloudId },
    check,
    effect() {
      world.preparations.remove(pairingId, cloudId);
      door.usePreparations(world.preparations.all());
    },
    lie: () => undefined,
  };
}

function refuseKerberos({ authentication }: HostsPreparation): void {
  if (authentication === 'certificate') return;
  throw new FabricError(
    'ERR_FABRIC_FAILED',
    'InvalidParameter',
    cmdletClass('prepareHosts'),
    'This site replicates with certificates only: choose authentication "certificate" in the protection policy.',
  );
}
