/** What a handler of the route table is given and gives back. One for every route: a missing one does not compile. */

import type { Role } from '../../shared/api/fields.ts';
import type { RouteAnswerGiven, RouteId, RouteInput, Routes } from '../../shared/api/routes.ts';
import type { AgentId, VaultId } from '../../shared/ids.ts';
import type { Clock, Log, Random } from '../../shared/ports.ts';
import type { Operations, Presence, SiteLooks } from '../operations/operations.ts';
import type { Credential, User } from '../store/account-store.ts';
import type { Bell } from '../store/bell.ts';
import type { Store } from '../store/store.ts';

export interface ApiPorts {
  readonly store: Store;
  readonly operations: Operations;
  readonly presence: Presence;
  readonly looks: SiteLooks;
  readonly bell: Bell;
  readonly clock: Clock;
  readonly random: Random;
  /** What a registration key tells an agent: where to enrol, and the digest of the authority it must meet there. */
  readonly registration: { readonly address: string; readonly authorityDigest: string };
  readonly log: Log;
  /** Revokes and cuts the connection; false when there is no such agent in the vault. */
  revokeAgent(vaultId: VaultId, id: AgentId): Promise<boolean>;
  /** Requests a minute; see rate-limits.ts. */
  readonly perMinute?: { readonly strict: number; readonly generous: number };
}

/** Who asks. The vault bounds all that is read and written in their name. */
export interface Caller {
  readonly vaultId: VaultId;
  readonly user: User;
  readonly credential: Credential;
  /** At most the user's role and the credential's. */
  readonly role: Role;
}

export type CallerOf<K extends RouteId> = Routes[K]['access'] extends 'public' ? null : Caller;

export interface Call<K extends RouteId> extends RouteInput<K> {
  readonly caller: CallerOf<K>;
  /** A header of the answer. */
  readonly setHeader: (name: string, value: string) => void;
}

export type Handler<K extends RouteId> = (call: Call<K>) => Promise<RouteAnswerGiven<K>>;

/** The event stream answers by itself. */
export type AnsweringRouteId = Exclude<RouteId, 'events'>;
export type Handlers<K extends RouteId = AnsweringRouteId> = { readonly [Id in K]: Handler<Id> };
