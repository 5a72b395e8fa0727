/**
 * Which host and storage a VM gets at a site: the host must be up, reach the networks, have the storage classification
 * with room, and CPU and memory. Pure and explained: each host comes back with its score or with all that it lacks.
 */
import type { NetworkId } from '../ids.ts';

export interface HostRoom {
  readonly host: string;
  readonly isUp: boolean;
  /** Virtual cores that the host may carry in all, and how many are taken. */
  readonly coreLimit: number;
  readonly coresUsed: number;
  readonly memoryBytes: number;
  readonly memoryBytesUsed: number;
  readonly networkIds: readonly NetworkId[];
  /** Storage classifications that the host reaches, with the room left in each. */
  readonly storage: readonly { readonly classification: string; readonly freeBytes: number }[];
}

export interface PlacementNeed {
  readonly cores: number;
  readonly memoryBytes: number;
  readonly networkIds: readonly NetworkId[];
  /** Bytes wanted of each classification. */
  readonly storage: readonly { readonly classification: string; readonly bytes: number }[];
}

export type Lack =
  | { readonly what: 'hostDown' }
  | { readonly what: 'network'; readonly networkId: NetworkId }
  | { readonly what: 'storage'; readonly classification: string; readonly missingBytes: number }
  | { readonly what: 'cpu'; readonly missingCores: number }
  | { readonly what: 'memory'; readonly missingBytes: number };

export interface HostVerdict {
  readonly host: string;
  /** 0 to 100, the share of CPU, memory and storage left after the VM stands there, the scarcest counting most; null where it does not fit. */
  readonly score: number | null;
  readonly lacks: readonly Lack[];
  /** The verdict in words for a person. */
  readonly why: string;
}

export type Placement =
  | { readonly kind: 'placed'; readonly host: string; readonly verdicts: readonly HostVerdict[] }
  | { readonly kind: 'noPlace'; readonly verdicts: readonly HostVerdict[] };

/** The host with the highest score, the first by name among equals. */
export function pickPlace(need: PlacementNeed, hosts: readonly HostRoom[]): Placement {
  const verdicts = hosts.map((host) => judge(need, host));
  const fitting = verdicts.filter((verdict) => verdict.score !== null);
  const best = fitting.toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0) || (a.host < b.host ? -1 : 1))[0];
  return best === undefined ? { kind: 'noPlace', verdicts } : { kind: 'placed', host: best.host, verdicts };
}

/** All that each host lacks, in one sentence a host. */
export function explainNoPlace(verdicts: readonly HostVerdict[]): string {
  return verdicts.length === 0 ? 'the cloud has no hosts' : verdicts.map((verdict) => `${verdict.host}: ${verdict.why}`).join('; ');
}

function judge(need: PlacementNeed, host: HostRoom): HostVerdict {
  const lacks = lacksOf(need, host);
  if (lacks.length > 0) return { host: host.host, score: null, lacks, why: lacks.map(lackText).join(', ') };
  const left = {
    cpu: share(host.coreLimit - host.coresUsed - need.cores, host.coreLimit),
    memory: share(host.memoryBytes - host.memoryBytesUsed - need.memoryBytes, host.memoryBytes),
    storage: Math.min(
      1,
      ...need.storage.map(({ classification, bytes }) => share(freeOf(host, classification) - bytes, freeOf(host, classification))),
    ),
  };
  const shares = Object.values(left);
  const scarcest = Math.min(...shares);
  const mean = shares.reduce((sum, part) => sum + part, 0) / shares.length;
  const score = Math.round(70 * scarcest + 30 * mean);
  const percent = (part: number) => `${Math.round(part * 100)} %`;
  return {
    host: host.host,
    score,
    lacks,
    why: `left afterwards: CPU ${percent(left.cpu)}, memory ${percent(left.memory)}, storage ${percent(left.storage)}`,
  };
}

function lacksOf(need: PlacementNeed, host: HostRoom): Lack[] {
  const lacks: Lack[] = host.isUp ? [] : [{ what: 'hostDown' }];
  for (const networkId of need.networkIds) if (!host.networkIds.includes(networkId)) lacks.push({ what: 'network', networkId });
  for (const { classification, bytes } of need.storage) {
    const missingBytes = bytes - freeOf(host, classification);
    if (missingBytes > 0) lacks.push({ what: 'storage', classification, missingBytes });
  }
  const missingCores = host.coresUsed + need.cores - host.coreLimit;
  if (missingCores > 0) lacks.push({ what: 'cpu', missingCores });
  const missingBytes = host.memoryBytesUsed + need.memoryBytes - host.memoryBytes;
  if (missingBytes > 0) lacks.push({ what: 'memory', missingBytes });
  return lacks;
}

function freeOf(host: HostRoom, classification: string): number {
  return host.storage.find((storage) => storage.classification === classification)?.freeBytes ?? 0;
}

function share(left: number, whole: number): number {
  return whole > 0 ? left / whole : 0;
}

function lackText(lack: Lack): string {
  switch (lack.what) {
    case 'hostDown':
      return 'the host is down';
    case 'network':
      return `does not reach the network ${lack.networkId}`;
    case 'storage':
      return `storage '${lack.classification}' is short of ${gigabytes(lack.missingBytes)}`;
    case 'cpu':
      return `CPU is short of ${lack.missingCores} cores`;
    case 'memory':
      return `memory is short of ${gigabytes(lack.missingBytes)}`;
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`;
}
