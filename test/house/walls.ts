/**
 * The walls of ARCHITECTURE.md as a table: which room may import which. A room that is not in the table is a breach,
 * so that a new one is thought about. Libraries and node: are free, except in `shared`.
 */
import path from 'node:path';
import { importsOf, type Tree } from './house-rules.ts';

interface Room {
  /** Rooms, with all below them that has no line of its own. */
  may: readonly string[];
  /** Rooms of which only the port may be used: types, and files that reach no database. */
  ports?: readonly string[];
  /** Packages; any where nothing is said. */
  packages?: readonly string[];
}

const everyShared = ['shared', 'shared/domain', 'shared/engine', 'shared/protocol', 'shared/api'];
const agentRooms = [
  'channel',
  'check',
  'commands',
  'enroll',
  'fabric',
  'fabric/hyperv',
  'fabric/peer',
  'fabric/qemu',
  'fabric/simulated',
  'fabric/site',
  'local',
  'observe',
  'process',
  'recovery',
  'scripts',
  'service',
  'state',
];
const controlPlaneRooms = ['alerts', 'api', 'channel', 'operations', 'reports', 'store'];

const agentCore: Room = { may: ['provider-agent/fabric', ...everyShared], ports: ['provider-agent/scripts', 'provider-agent/state'] };
const schemas = ['zod', 'zod-openapi'];

export const rooms: Readonly<Record<string, Room>> = {
  shared: { may: everyShared, packages: [...schemas, 'yaml'] },
  'shared/domain': { may: ['shared', 'shared/domain', 'shared/engine'], packages: schemas },
  'shared/engine': { may: ['shared', 'shared/engine'], packages: schemas },
  'shared/protocol': { may: ['shared', 'shared/domain', 'shared/protocol'], packages: schemas },
  'shared/api': { may: everyShared, packages: schemas },

  certs: { may: everyShared },

  'provider-agent': { may: [...agentRooms.map((room) => `provider-agent/${room}`), 'certs', ...everyShared] },
  'provider-agent/fabric': { may: everyShared },
  'provider-agent/fabric/peer': { may: ['provider-agent/fabric', ...everyShared] },
  'provider-agent/fabric/qemu': {
    may: ['provider-agent/fabric', 'provider-agent/fabric/peer', 'provider-agent/fabric/site', 'certs', ...everyShared],
  },
  'provider-agent/fabric/site': { may: ['provider-agent/fabric', 'provider-agent/fabric/peer', ...everyShared] },
  'provider-agent/fabric/simulated': {
    may: ['provider-agent/fabric', 'provider-agent/fabric/peer', 'provider-agent/fabric/site', ...everyShared],
  },
  'provider-agent/fabric/hyperv': { may: ['provider-agent/fabric', 'provider-agent/process', 'certs', ...everyShared] },
  'provider-agent/process': { may: everyShared },
  'provider-agent/scripts': { may: ['provider-agent/process', ...everyShared] },
  'provider-agent/service': { may: ['certs', ...everyShared] },
  'provider-agent/state': { may: everyShared },
  'provider-agent/commands': agentCore,
  'provider-agent/observe': agentCore,
  'provider-agent/recovery': agentCore,
  'provider-agent/local': agentCore,
  'provider-agent/channel': { may: ['certs', ...everyShared] },
  'provider-agent/check': { may: ['provider-agent/enroll', 'provider-agent/fabric', 'provider-agent/service', ...everyShared] },
  'provider-agent/enroll': { may: ['certs', ...everyShared] },

  'control-plane': { may: [...controlPlaneRooms.map((room) => `control-plane/${room}`), 'certs', ...everyShared] },
  'control-plane/store': { may: everyShared },
  'control-plane/operations': { may: everyShared, ports: ['control-plane/store'] },
  'control-plane/channel': { may: ['certs', ...everyShared], ports: ['control-plane/store'] },
  'control-plane/api': { may: ['control-plane/operations', 'control-plane/reports', ...everyShared], ports: ['control-plane/store'] },
  'control-plane/reports': { may: everyShared, ports: ['control-plane/store'] },
  'control-plane/alerts': { may: everyShared, ports: ['control-plane/store'] },
  'control-plane/console': { may: everyShared },
  'control-plane/cli': { may: everyShared },

  demo: { may: everyShared },
};

/** Rooms that may import anything. */
const free = ['test', 'scripts'];
const databases = ['better-sqlite3', 'kysely', 'pg'];
const systemPorts = 'shared/system-ports.ts';

export function brokenWalls(tree: Tree): string[] {
  return [...tree].flatMap(([file, text]) => {
    if (free.includes(topOf(file))) return [];
    const name = roomOf(file);
    const room = name === undefined ? undefined : rooms[name];
    if (name === undefined || room === undefined) return [`${file}: its room is not in the table`];
    return importsOf(file, text)
      .filter((used) => !isAllowed(tree, file, name, room, used))
      .map(({ specifier }) => `${file} imports '${specifier}'`);
  });
}

function isAllowed(tree: Tree, file: string, name: string, room: Room, used: ReturnType<typeof importsOf>[number]): boolean {
  if (used.specifier === '(computed)') return false;
  if (!used.specifier.startsWith('.')) return isPackageAllowed(file, room, used.specifier);
  if (used.to === systemPorts) return path.posix.basename(file) === 'main.ts';
  // A program starts at main.ts; nothing else knows it.
  if (path.posix.basename(used.to) === 'main.ts') return false;
  const target = roomOf(used.to);
  if (target === undefined) return false;
  if (target === name || room.may.includes(target)) return true;
  return (room.ports ?? []).includes(target) && (used.isTypeOnly || !reachesDatabase(tree, used.to));
}

function isPackageAllowed(file: string, room: Room, specifier: string): boolean {
  if (room.packages === undefined) return true;
  const [scope = '', rest] = specifier.split('/');
  const packageName = scope.startsWith('@') ? `${scope}/${rest}` : scope;
  if (packageName === 'yaml') return file === 'shared/document.ts';
  return room.packages.includes(packageName);
}

function reachesDatabase(tree: Tree, file: string): boolean {
  return importsOf(file, tree.get(file) ?? '').some(({ specifier, isTypeOnly }) => !isTypeOnly && databases.includes(specifier));
}

function topOf(file: string): string {
  return file.split('/')[0] ?? '';
}

/** The nearest room above the file; a folder right under one of the three houses needs a line of its own. */
function roomOf(file: string): string | undefined {
  const folder = path.posix.dirname(file);
  let room = folder;
  while (room !== '.' && rooms[room] === undefined) room = path.posix.dirname(room);
  if (room === '.') return undefined;
  return ['shared', 'provider-agent', 'control-plane'].includes(room) && room !== folder ? undefined : room;
}
