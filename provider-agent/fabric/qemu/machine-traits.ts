/** How a machine is built, beside cores, memory and disks: in the site file, and on the line to the site that holds its replica. */
import { z } from 'zod';
import { InjectionWay } from './address-injection.ts';

export const MachineTraits = z.strictObject({
  /** How the disks are attached. */
  bus: z.enum(['ide', 'virtio']).default('virtio'),
  /** The card that its adapters are. */
  adapter: z.enum(['virtio-net-pci', 'e1000']).default('virtio-net-pci'),
  /** How the guest learns its addresses. */
  injection: InjectionWay.default('none'),
  /** `acpi`: the guest is asked as by the power button. `stop`: a guest that knows nothing of that is stopped and its disks are flushed. */
  shutDown: z.enum(['acpi', 'stop']).default('acpi'),
  shutDownSeconds: z.int().min(1).max(3600).default(120),
  /** How it is told that the guest answers: that it said something on the serial port, that it takes a connection, or that it runs. */
  answers: z
    .union([
      z.literal('running'),
      z.strictObject({ says: z.string().min(1).max(200) }),
      z.strictObject({ port: z.int().min(1).max(65_535) }),
    ])
    .default('running'),
});
export type MachineTraits = z.infer<typeof MachineTraits>;
