/**
 * What the hosts said last, and what changed since. Hyper-V has no list of changes: each reading reads the hosts, and only what
 * differs from the reading before is passed on. VMs of a host that does not answer are not gone: they are in a critical state.
 */
import type { VmRef } from '../../../shared/ids.ts';
import type { CloudView, InventoryChanges, NetworkView, VmView } from '../fabric.ts';

interface Kept<T> {
  readonly value: T;
  readonly text: string;
  readonly version: number;
}

export interface SeenVm {
  readonly view: VmView;
  readonly host: string;
}

const keyOf = ({ cloudId, vmId }: VmRef) => `${cloudId}/${vmId}`;

export class Inventory {
  readonly #instanceId: string;
  readonly #clouds: readonly CloudView[];
  readonly #vms = new Map<string, Kept<SeenVm>>();
  readonly #networks = new Map<string, Kept<NetworkView>>();
  readonly #removed = new Map<string, { readonly ref: VmRef; readonly version: number }>();
  #version = 1;

  constructor(instanceId: string, clouds: readonly CloudView[]) {
    this.#instanceId = instanceId;
    this.#clouds = clouds;
  }

  /** `silent` are hosts that did not answer. */
  take(seen: readonly SeenVm[], networks: readonly NetworkView[], silent: ReadonlySet<string>): void {
    const before = this.#version;
    const next = before + 1;
    const present = new Set(seen.map(({ view }) => keyOf(view.ref)));
    for (const one of seen) this.#put(keyOf(one.view.ref), one, next);
    for (const [key, { value }] of this.#vms) {
      if (present.has(key)) continue;
      if (silent.has(value.host)) {
        this.#put(key, { ...value, view: silentView(value.view) }, next);
        continue;
      }
      this.#vms.delete(key);
      this.#removed.set(key, { ref: value.view.ref, version: next });
      this.#version = next;
    }
    for (const network of networks) {
      const text = JSON.stringify(network);
      if (this.#networks.get(network.id)?.text === text) continue;
      this.#networks.set(network.id, { value: network, text, version: next });
      this.#version = next;
    }
  }

  /** What changed since the cursor; everything where it is not one of this inventory. */
  since(cursor: string | null): InventoryChanges {
    const [instance, number] = (cursor ?? '').split(' ');
    const known = Number(number);
    const full = instance !== this.#instanceId || !Number.isSafeInteger(known) || known > this.#version;
    const from = full ? 0 : known;
    const newer = <T>(kept: Iterable<Kept<T>>) => [...kept].filter(({ version }) => version > from).map(({ value }) => value);
    return {
      cursor: `${this.#instanceId} ${this.#version}`,
      full,
      clouds: full ? this.#clouds : [],
      networks: newer(this.#networks.values()),
      vms: newer(this.#vms.values()).map(({ view }) => view),
      removedVms: full ? [] : [...this.#removed.values()].filter(({ version }) => version > from).map(({ ref }) => ref),
    };
  }

  #put(key: string, value: SeenVm, version: number): void {
    const known = this.#vms.get(key);
    // Whoever reads only what changed hands the rest in as it was.
    if (known?.value.view === value.view) return;
    const text = newsOf(value.view);
    this.#removed.delete(key);
    if (known?.text === text) {
      this.#vms.set(key, { ...known, value });
      return;
    }
    this.#vms.set(key, { value, text, version });
    this.#version = version;
  }
}

/** A measure is no news by itself. */
function newsOf(view: VmView): string {
  const { measure: _measure, ...replication } = view.replication;
  return JSON.stringify({ ...view, replication });
}

function silentView(view: VmView): VmView {
  const { mode, health } = view.replication;
  return { ...view, power: 'critical', replication: { ...view.replication, health: mode === 'none' ? health : 'critical' } };
}
