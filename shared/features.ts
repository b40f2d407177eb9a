/**
 * What an agent of today can do that an older one cannot, by name, with the version that brought it. An agent says
 * in `hello` which of these it has; the coordinator orders nothing of an agent that does not have what it takes
 * (coordinator/core/agent-versions.ts). What every agent of protocol 1 can do has no name here.
 */
export const features = {
  reboot: { since: '0.2.0', what: 'reboot its host for a job' },
  upgrade: { since: '0.2.0', what: 'take an upgrade by itself' },
} as const satisfies Record<string, { readonly since: string; readonly what: string }>;

export type Feature = keyof typeof features;

/** All of them, for `hello`: the programs of one version have what the table of that version names. */
export const allFeatures: readonly string[] = Object.keys(features);
