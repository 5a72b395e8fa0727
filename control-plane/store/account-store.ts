/** The part of the store port that accounts need: vaults, their users, and what lets a request in. */
import type { UserId, VaultId } from '../../shared/ids.ts';

export type Role = 'owner' | 'operator' | 'viewer';

/** Moments are milliseconds since 1970 throughout. */
export interface Vault {
  readonly id: VaultId;
  readonly name: string;
  readonly createdAt: number;
}

export interface User {
  readonly id: UserId;
  readonly vaultId: VaultId;
  readonly name: string;
  readonly role: Role;
  /** As `hashPassword` wrote it. */
  readonly passwordHash: string;
  readonly createdAt: number;
}

/** A browser session or an API token: what lets a request in. Only the SHA-256 of its secret is stored. */
export interface Credential {
  readonly hash: string;
  readonly vaultId: VaultId;
  readonly userId: UserId;
  readonly kind: 'session' | 'token';
  readonly name: string;
  /** At most the user's role; a token may have less. */
  readonly role: Role;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface AccountStore {
  /** Makes vault and owner if there is no vault yet; false when somebody was faster. */
  createFirst(vault: Vault, owner: User): Promise<boolean>;
  vaults(): Promise<Vault[]>;
  addUser(user: User): Promise<void>;
  users(vaultId: VaultId): Promise<User[]>;
  /** Names of users are unique over all vaults. */
  findUserByName(name: string): Promise<User | null>;
  findUser(vaultId: VaultId, id: UserId): Promise<User | null>;
  addCredential(credential: Credential): Promise<void>;
  findCredential(hash: string): Promise<Credential | null>;
  credentials(vaultId: VaultId, kind: Credential['kind']): Promise<Credential[]>;
  removeCredential(vaultId: VaultId, hash: string): Promise<boolean>;
}
