/** Puts a site of real machines together: its file, its book, and the machinery over QEMU. */
import { mkdir } from 'node:fs/promises';
import type { Clock, Random } from '../../../shared/ports.ts';
import { openDatabase } from '../site/database.ts';
import { noFaults } from '../site/ordered-faults.ts';
import { Site, type SiteOptions } from '../site/site.ts';
import type { HostSide } from './host-side.ts';
import { QemuMachinery } from './qemu-machinery.ts';
import { readQemuSite } from './site-definition.ts';

export interface OpenQemu {
  readonly text: string;
  readonly fileName: string;
  readonly databaseFile: string;
  readonly host: HostSide;
  readonly clock: Clock;
  readonly random: Random;
}

export class QemuSite extends Site {
  static async open(options: SiteOptions): Promise<QemuSite> {
    const site = new QemuSite(options);
    await site.begin();
    return site;
  }
}

/** Throws ERR_DOCUMENT_INVALID with every mistake of the file. */
export async function openQemuSite({ text, fileName, databaseFile, host, clock, random }: OpenQemu): Promise<QemuSite> {
  const { definition, file, images, homes } = await readQemuSite(text, fileName);
  await mkdir(homes.root, { recursive: true, mode: 0o700 });
  const { name: hostName, dnsName: serverName, accelerator } = file.host;
  const listen = { host: definition.replication.listen.host, ports: file.replication.ports };
  const machinery = new QemuMachinery({ homes, hostName, serverName, accelerator, listen, images, host, clock, random });
  const database = openDatabase(databaseFile, 'powerCut');
  return QemuSite.open({ definition, database, machinery, faults: noFaults, clock, random, lookMs: null });
}
