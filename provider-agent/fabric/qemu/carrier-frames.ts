/** What the QEMU of one site asks of the other's before data goes over NBD; inside the frames of replication, strict on both ends. */
import { z } from 'zod';
import { SharedPoint } from './lineage.ts';

const shared = z.array(SharedPoint).max(1000);

export const CarrierOrder = z.discriminatedUnion('ask', [
  /** Which of the points that I have carried is the newest that you hold? */
  z.strictObject({ ask: z.literal('held'), shared }),
  /** Make room for all up to that layer. */
  z.strictObject({
    ask: z.literal('receive'),
    shared,
    pointId: z.uuid(),
    layer: z.int().min(0),
    /** A copy that shares nothing with the primary may be overwritten. */
    isFirst: z.boolean(),
    /** The subject of the certificate that will send. */
    sender: z.string().min(1).max(1000),
  }),
]);
export type CarrierOrder = z.infer<typeof CarrierOrder>;
export type ReceiveOrder = Extract<CarrierOrder, { ask: 'receive' }>;

export const Held = z.strictObject({ layer: z.int().min(0).nullable() });
export const Room = z.strictObject({
  /** What is here already; null: nothing, and the base is to be sent too. */
  layer: z.int().min(0).nullable(),
  /** The name in the certificate of the receiving host. */
  serverName: z.string().min(1).max(255),
  exports: z.array(z.strictObject({ disk: z.string().max(20), port: z.int().min(1).max(65_535), name: z.uuid() })).max(260),
});
