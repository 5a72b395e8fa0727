/** The subnets of a VM network, with the pools that fixed addresses come from, as people describe them where no SCVMM knows them. */
import { z } from 'zod';

const Pool = z.strictObject({
  from: z.ipv4(),
  to: z.ipv4(),
  gateway: z.ipv4().nullable().default(null),
  dns: z.array(z.ipv4()).max(8).default([]),
});

export const subnetsOf = (name: z.ZodString) =>
  z
    .array(z.strictObject({ name, cidr: z.cidrv4(), pool: Pool.nullable().default(null) }))
    .min(1)
    .max(100);
