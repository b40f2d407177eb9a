/** With which status the coordinator's process ends when it did not end by being told to; as in sysexits.h. */
export const exitStatus = {
  /** A broken invariant: state is rebuilt from the journal at the next start. */
  invariant: 70,
  /** What the disk holds is unknown until it is opened again. */
  storage: 74,
} as const;
