/**
 * One QEMU process for each VM that runs. It outlives the agent: a new agent finds it by its process id and its socket. What has the
 * disks open is told by QEMU's own locks on them, so that two can never write to one.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Clock, pause } from '../../../shared/ports.ts';
import { BASE, type Layers, layerNodes, nodeOf } from './layers.ts';
import { pidIn, runProgram } from './programs.ts';
import { failed } from './qemu-error.ts';
import { ANSWER_MS, Qmp } from './qmp.ts';

const CONNECT_MS = 10_000;
const ENDED_EVERY_MS = 20;
const START_MS = 30_000;

export interface MachineDefinition {
  /** `kvm` where the host has it; `tcg` runs everywhere, some ten times slower. */
  readonly accelerator: 'kvm' | 'tcg';
  readonly memoryMib: number;
  /** How the disks are attached. */
  readonly bus: 'ide' | 'virtio';
  /** What the guest reads as `opt/farshore/address` in fw_cfg; null: nothing. */
  readonly address: string | null;
  /** More arguments of QEMU: adapters, a serial port. */
  readonly more: readonly string[];
}

const BlockDevices = z.array(
  z.looseObject({ qdev: z.string().optional(), inserted: z.looseObject({ 'node-name': z.string() }).optional() }),
);

export class Machine {
  readonly qmp: Qmp;
  readonly #folder: string;
  readonly #layers: Layers;
  readonly #clock: Clock;

  private constructor(qmp: Qmp, folder: string, layers: Layers, clock: Clock) {
    this.qmp = qmp;
    this.#folder = folder;
    this.#layers = layers;
    this.#clock = clock;
  }

  /** Starts the VM on its highest layers. Throws ERR_FABRIC_FAILED with what QEMU said. */
  static async start(folder: string, layers: Layers, definition: MachineDefinition, clock: Clock): Promise<Machine> {
    const top = await layers.level();
    await rm(socketOf(folder), { force: true });
    const nodes = (await Promise.all(layers.disks.map((disk) => layers.nodes(disk, top, true)))).flat();
    await runProgram(
      'qemu-system-x86_64',
      [
        ['-accel', definition.accelerator, '-machine', 'pc', '-m', String(definition.memoryMib), '-nodefaults', '-display', 'none'],
        ['-daemonize', '-pidfile', pidFileOf(folder), '-qmp', `unix:${socketOf(folder)},server=on,wait=off`],
        nodes.flatMap((node) => ['-blockdev', JSON.stringify(node)]),
        layers.disks.flatMap((disk, index) => ['-device', deviceOf(definition.bus, disk, index, nodeOf(disk, top))]),
        definition.address === null ? [] : ['-fw_cfg', `name=opt/farshore/address,string=${definition.address}`],
        definition.more,
      ].flat(),
      START_MS,
    );
    return new Machine(await Qmp.open(socketOf(folder), clock, CONNECT_MS), folder, layers, clock);
  }

  /** The VM of that folder that an earlier life of the agent started, or null where it does not run. */
  static async find(folder: string, layers: Layers, clock: Clock): Promise<Machine | null> {
    if ((await pidIn(pidFileOf(folder))) === null) return null;
    return new Machine(await Qmp.open(socketOf(folder), clock, CONNECT_MS), folder, layers, clock);
  }

  /** The layer that takes the writes now, by what QEMU says. */
  async activeLayer(): Promise<number> {
    const devices = BlockDevices.parse(await this.qmp.run('query-block'));
    const nodes = devices.flatMap(({ inserted }) => inserted?.['node-name'] ?? []);
    const [disk = ''] = this.#layers.disks;
    const layers = nodes.flatMap((node) => (node.startsWith(`${disk}-`) ? [Number(/layer-(\d+)$/.exec(node)?.[1] ?? 0)] : []));
    if (layers[0] === undefined) throw failed('OperationFailed', 'QEMU names no disk of the VM that it runs');
    return layers[0];
  }

  /** From this moment on all disks are written to a new layer; returns the number of the one that is frozen by it. */
  async freeze(): Promise<number> {
    const active = await this.activeLayer();
    const next = active + 1;
    await this.#layers.add(active, next);
    for (const disk of this.#layers.disks) {
      // Of a freeze that was cut off: its nodes are there, and nothing is written to them.
      await this.#dropNode(nodeOf(disk, next));
      for (const node of layerNodes(disk, next, this.#layers.fileOf(disk, next), null, true)) await this.qmp.run('blockdev-add', node);
    }
    const actions = this.#layers.disks.map((disk) => ({
      type: 'blockdev-snapshot',
      data: { node: nodeOf(disk, active), overlay: nodeOf(disk, next) },
    }));
    await this.qmp.run('transaction', { actions });
    return active;
  }

  /** While the VM runs: what the layers up to that one hold goes into the base, and they are gone. */
  async merge(upTo: number): Promise<void> {
    const active = await this.activeLayer();
    for (const disk of this.#layers.disks) {
      const merged = (await this.#layers.of(disk)).filter((layer) => layer <= upTo && layer < active);
      const top = merged.at(-1);
      if (top === undefined) continue;
      const [root, topNode, base] = [nodeOf(disk, active), nodeOf(disk, top), nodeOf(disk, 0)];
      const parts = { device: root, 'top-node': topNode, 'base-node': base, 'backing-file': BASE };
      await runJob(this.qmp, this.#clock, `merge-${disk}`, 'block-commit', parts);
      for (const layer of merged.toReversed()) await this.#dropNode(nodeOf(disk, layer));
      await this.#layers.forget(disk, merged);
    }
  }

  async isRunning(): Promise<boolean> {
    const { running } = z.looseObject({ running: z.boolean() }).parse(await this.qmp.run('query-status'));
    return running;
  }

  /** Nothing is lost that the guest has flushed, and all that QEMU holds is written. */
  async quit(): Promise<void> {
    await this.qmp.run('quit').catch(() => {});
    await this.ended();
  }

  /** As if its host lost its power. */
  async kill(): Promise<void> {
    const pid = await pidIn(pidFileOf(this.#folder));
    if (pid !== null) process.kill(pid, 'SIGKILL');
    await this.ended();
  }

  /** Resolves when the process is gone. */
  async ended(): Promise<void> {
    while ((await pidIn(pidFileOf(this.#folder))) !== null) await pause(this.#clock, ENDED_EVERY_MS);
    this.qmp.close();
  }

  async #dropNode(name: string): Promise<void> {
    const nodes = z.array(z.looseObject({ 'node-name': z.string() })).parse(await this.qmp.run('query-named-block-nodes', { flat: true }));
    const own = [name, `${name}-file`].filter((one) => nodes.some((node) => node['node-name'] === one));
    for (const one of own) await this.qmp.run('blockdev-del', { 'node-name': one });
  }
}

const Job = z.looseObject({ id: z.string(), status: z.string(), error: z.string().optional(), 'current-progress': z.number().optional() });

/** Runs a job of QEMU to its end. Throws ERR_FABRIC_FAILED with the error of the job, or when nothing has moved for so long. */
export async function runJob(qmp: Qmp, clock: Clock, id: string, command: string, args: object, stalledMs = Infinity): Promise<void> {
  await qmp.run('job-dismiss', { id }).catch(() => {}); // of an earlier try that nobody asked for
  const jobId = { 'job-id': id, 'auto-dismiss': false, 'auto-finalize': true };
  await qmp.run(command, { ...jobId, ...args });
  let [progress, movedAt] = [-1, clock.now()];
  for (;;) {
    const jobs = z.array(Job).parse(await qmp.run('query-jobs', {}, Math.min(stalledMs, ANSWER_MS)));
    const job = jobs.find((one) => one.id === id);
    if (job === undefined) throw failed('OperationFailed', `${command}: the job is gone`);
    if (job.status === 'concluded') {
      await qmp.run('job-dismiss', { id });
      if (job.error !== undefined) throw failed('OperationFailed', `${command}: ${job.error}`);
      return;
    }
    const { 'current-progress': now = 0 } = job;
    if (now !== progress) [progress, movedAt] = [now, clock.now()];
    else if (clock.now() - movedAt >= stalledMs) throw failed('OperationTimeout', `${command}: nothing has moved for ${stalledMs} ms`);
    await pause(clock, 10);
  }
}

function deviceOf(bus: MachineDefinition['bus'], disk: string, index: number, node: string): string {
  // IDE: two channels of two disks each.
  const at = bus === 'ide' ? `ide-hd,bus=ide.${Math.floor(index / 2)},unit=${index % 2}` : 'virtio-blk-pci';
  return `${at},id=${disk},drive=${node}`;
}

/** A path of a Unix socket takes 107 bytes at most: the folder of a VM is short. */
function socketOf(folder: string): string {
  return join(folder, 'qmp');
}

function pidFileOf(folder: string): string {
  return join(folder, 'pid');
}
