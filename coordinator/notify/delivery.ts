/** What became of one attempt to deliver, whatever the way. */
export type Delivered =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reason: string;
      /** It was understood and is not wanted; trying for long is of no use. */
      readonly refused: boolean;
    };

export const delivered: Delivered = { ok: true };
export const failed = (reason: string): Delivered => ({ ok: false, reason, refused: false });
export const refused = (reason: string): Delivered => ({ ok: false, reason, refused: true });
