/** When the silence of a site says something about it: never while its agent is connected, and not before whoever is well would have been heard. */
import { FarshoreError } from '../../shared/errors.ts';
import type { SiteId } from '../../shared/ids.ts';
import { isoMoment } from '../../shared/ports.ts';
import { ACTS_NO_MORE_AFTER_MS } from '../../shared/protocol/lease.ts';
import type { CompilePorts } from './compile.ts';

type Ports = Pick<CompilePorts, 'presence' | 'clock' | 'listeningSince'>;

interface Silence {
  /** From the last sign of life on. */
  readonly afterSignMs: number;
  /** From the start of this process on, where it has heard none. */
  readonly afterStartMs: number;
}

/** The agent is gone: one that is there dials at least once in a minute and is let in within seconds; a line that was cut is back within a few dials. */
export const IS_GONE: Silence = { afterSignMs: 10_000, afterStartMs: 75_000 };
/** Whatever its agent was told, it acts on it no more (docs/adr/0019). */
export const ACTS_NO_MORE: Silence = { afterSignMs: ACTS_NO_MORE_AFTER_MS, afterStartMs: ACTS_NO_MORE_AFTER_MS };

/** The moment from which it can be told, if nothing is heard until then; null while the agent is connected. */
export function toldFrom(site: SiteId, { presence, listeningSince }: Ports, { afterSignMs, afterStartMs }: Silence): number | null {
  if (presence.isConnected(site)) return null;
  const heardAt = presence.lastHeardAt(site);
  return heardAt === null ? listeningSince + afterStartMs : heardAt + afterSignMs;
}

/** Throws ERR_OPERATION_NOT_ALLOWED while its agent is connected, ERR_SITE_UNJUDGED with the moment to wait for while it may still act. */
export function refuseUnlessSilent(site: SiteId, ports: Ports): void {
  const from = toldFrom(site, ports, ACTS_NO_MORE);
  if (from === null)
    throw new FarshoreError('ERR_OPERATION_NOT_ALLOWED', 'the agent of the site is connected, and answers when its work is done');
  if (ports.clock.now() < from) throw new FarshoreError('ERR_SITE_UNJUDGED', `the site can be given up from ${isoMoment(from)} on`);
}
