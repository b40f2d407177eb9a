/** The part of the limits that bounds what is told of runs: reports, and notifications. See limits.ts. */
import { assert } from './assert.ts';

const KiB = 1024;
const dayMs = 24 * 60 * 60_000;

export const tellingLimits = {
  // Notifications
  receiversMax: 32,
  /** Addresses of one receiver, or words of one of its filters. */
  receiverWordsMax: 32,
  receiverUrlLengthMax: 2 * KiB,
  /** Of the reason in a notification; all else in it is names and sentences of our own. */
  notificationWhyLengthMax: 2 * KiB,
  /** For one delivery: a connection and its whole answer, or a program from its start to its end. */
  deliveryWaitMs: 20_000,
  deliveryAnswerBytesMax: 64 * KiB,
  deliveryRetryDelayMs: 1_000,
  deliveryRetryDelayMaxMs: 5 * 60_000,
  /** Older ones are given up. */
  notificationAgeMaxMs: dayMs,
  /** So often a receiver may say that it does not want one. */
  deliveryRefusalsMax: 5,
  /** Events that are looked at before it is noted that they were. */
  deliveryCursorEventsMax: 5_000,

  // Reports of runs
  reportDeviationsMax: 1_000,
  reportSlotsMax: 2_000,
  /** Of each step. */
  reportSlowestMax: 5,
  /** Different values of one output of one step. */
  reportValuesMax: 20,
  reportValueLengthMax: 1_024,
} as const;

assert(
  tellingLimits.deliveryRetryDelayMaxMs < tellingLimits.notificationAgeMaxMs,
  'a notification is tried many times before it is given up',
);
