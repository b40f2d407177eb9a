/** Params that operators keep, what a node gets of them, and the services that runs provided. */
import * as z from 'zod';
import { clusterName, json, name, paramName } from './primitives.ts';

const paramScope = { cluster: clusterName.optional(), node: name.optional() };
export const paramsQuery = z.object(paramScope);
export const paramSetting = z.object({
  ...paramScope,
  name: paramName,
  value: json,
  secret: z.boolean().default(false),
});
export const paramUnsetting = z.object({ ...paramScope, name: paramName });
export const param = z.object({
  scope: z.union([z.object({ cluster: z.string() }), z.object({ node: z.string() })]),
  name: z.string(),
  /** `(secret)` for a secret. */
  value: json,
  secret: z.boolean(),
});
export const paramList = z.object({ items: z.array(param) });

/** With a run: also the values that its pipeline and the run itself give. */
export const nodeParamsQuery = z.object({ run: z.string().max(32).optional() });
export const effectiveParams = z.object({
  items: z.array(
    z.object({
      name: z.string(),
      value: json,
      secret: z.boolean(),
      /** Where the value comes from, and every layer that has one, lowest first. */
      layer: z.string(),
      layers: z.array(z.object({ layer: z.string(), value: json })),
    }),
  ),
});

export const servicesQuery = z.object({ cluster: clusterName.optional() });
const service = z.object({
  cluster: z.string(),
  service: z.string(),
  node: z.string(),
  address: z.string().nullable(),
  port: z.int().nullable(),
  run: z.string(),
  step: z.string(),
});
export const serviceList = z.object({ items: z.array(service) });
