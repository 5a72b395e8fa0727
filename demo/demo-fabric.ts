/** What the two sites of the demo may be made of, as the story sees it: the same story for each (fabrics.ts lists them). */
import type { Processes } from './processes.ts';

export interface DemoSite {
  readonly name: string;
  /** What it consists of. */
  readonly file: string;
}

export interface Surroundings {
  /** Of the demo; each agent has one in it, with the name of its site. */
  readonly folder: string;
  readonly sites: readonly DemoSite[];
  readonly processes: Processes;
  readonly onDied: (why: string) => void;
}

export interface Sites {
  /** `fabric` in the `agent.yaml` of the site; `siteIds` by name. */
  configOf(site: DemoSite, siteIds: ReadonlyMap<string, string>): object;
  /** The agent is dead already; so is, after this, all else that stood at the site. Says what that was. */
  die(site: DemoSite): Promise<string>;
  /** The folder for `farshore-agent fault`; null: nobody can order a fault there. */
  faultsOf(site: DemoSite): string | null;
  /** After the agents have ended: what else would stay. */
  end?(): Promise<void>;
}

export interface DemoFabric {
  readonly about: string;
  /** Machines that nobody pretends: no fault is ordered there. */
  readonly isReal?: boolean;
  readonly primary: DemoSite;
  readonly recovery: DemoSite;
  /** Starts what the sites stand on. Throws where the machine lacks something: what, and how to get it. */
  start(surroundings: Surroundings): Promise<Sites>;
}
