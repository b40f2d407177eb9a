/**
 * What an agent tells of its host: one model for metal, VM and container. Units are in the names. What
 * could not be read is absent here and named with its reason in `unread`, so that "no disks" and "could not
 * look" differ. Volatile values (load, free memory) do not belong here: they would change the digest.
 */
import * as z from 'zod';

const text = z.string().max(1_024);
const count = z.int().nonnegative();

export const factsSchema = z.object({
  hostname: text,
  machineId: text.optional(),
  bootId: text,
  system: z
    .object({
      vendor: text,
      product: text,
      version: text,
      serial: text,
      uuid: text,
      chassis: text,
      bios: text,
    })
    .partial(),
  cpu: z.object({ architecture: text, model: text.optional(), sockets: count, cores: count, threads: count }),
  memory: z.object({ totalBytes: count }),
  disks: z
    .array(
      z.object({
        name: text,
        sizeBytes: count,
        model: text.optional(),
        serial: text.optional(),
        wwn: text.optional(),
        rotational: z.boolean().optional(),
        removable: z.boolean().optional(),
      }),
    )
    .max(1_024),
  interfaces: z
    .array(
      z.object({
        name: text,
        mac: text.optional(),
        driver: text.optional(),
        mtu: count.optional(),
        speedMbps: count.optional(),
        up: z.boolean(),
        addresses: z
          .array(z.object({ family: z.enum(['ipv4', 'ipv6']), address: text, prefixLength: count }))
          .max(256),
      }),
    )
    .max(1_024),
  os: z.object({ id: text, version: text.optional(), name: text }),
  kernel: z.object({ release: text, version: text.optional() }),
  unread: z.record(text, text).optional(),
});

export type Facts = z.infer<typeof factsSchema>;
