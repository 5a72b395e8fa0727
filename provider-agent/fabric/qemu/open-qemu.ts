/** Puts a site of real machines together: its file, its book, and the machinery over QEMU. */
import { mkdir } from 'node:fs/promises';
import type { Clock, Random } from '../../../shared/ports.ts';
import { openDatabase } from '../site/database.ts';
import { noFaults } from '../site/ordered-faults.ts';
import { Site, type SiteOptions } from '../site/site.ts';
import { LinuxHost } from './linux-host.ts';
import { QemuMachinery } from './qemu-machinery.ts';
import { requireAll } from './requirements.ts';
import { readQemuSite } from './site-definition.ts';

export interface OpenQemu {
  readonly text: string;
  readonly fileName: string;
  readonly databaseFile: string;
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

/** Throws ERR_DOCUMENT_INVALID with every mistake of the file, ERR_FABRIC_FAILED with everything that the host lacks. */
export async function openQemuSite(options: OpenQemu): Promise<QemuSite> {
  return QemuSite.open(await qemuSiteParts(options));
}

/** What a site is made of, before anything of it is open but its book. */
export async function qemuSiteParts({ text, fileName, databaseFile, clock, random }: OpenQemu): Promise<SiteOptions> {
  const { definition, file, images, ways, homes, needs } = await readQemuSite(text, fileName);
  await requireAll(needs);
  await mkdir(homes.root, { recursive: true, mode: 0o700 });
  const { name: hostName, dnsName: serverName, accelerator } = file.host;
  const listen = { host: definition.replication.listen.host, ports: file.replication.ports };
  const host = new LinuxHost(file.name, ways);
  const machinery = new QemuMachinery({ homes, hostName, serverName, accelerator, listen, images, host, clock, random });
  const database = openDatabase(databaseFile, 'powerCut');
  return { definition, database, machinery, faults: noFaults, clock, random, lookMs: null };
}
