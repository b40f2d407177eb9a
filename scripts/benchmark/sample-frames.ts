/** The frames of one job, as long as they are on the wire. */
import type { AgentMessage, CoordinatorMessage } from '../../shared/messages.ts';
import { simulatedName } from './simulated-agent.ts';

export function sampleFrames(): {
  readonly fromCoordinator: readonly (readonly CoordinatorMessage[])[];
  readonly fromAgent: readonly (readonly AgentMessage[])[];
} {
  const attempt = `r12/s034/${simulatedName(567)}#1`;
  const at = 1_700_000_000_000;
  return {
    fromCoordinator: [
      [
        { type: 'ack-results', upTo: 1_234 },
        {
          type: 'grant',
          lineage: 'b5f1c2d3e4a5968778695a4b3c2d1e0f',
          epoch: 3,
          jobs: [
            {
              attempt,
              attemptsMax: 1,
              backoffMs: 5_000,
              mode: 'normal',
              run: { shell: ['/bin/sh', '-e'], source: { text: ':' } },
              timeoutMs: 3_600_000,
              leaves: 'nothing',
              inputs: {},
              secretInputs: [],
              outputs: {},
              environment: {
                LOCKSTEP_RUN: 'r12',
                LOCKSTEP_PIPELINE: 'chain',
                LOCKSTEP_CLUSTER: 'default',
                LOCKSTEP_STEP: 's034',
              },
            },
          ],
        },
      ],
    ],
    fromAgent: [
      [
        { type: 'accepted', attempt },
        { type: 'started', attempt, at },
      ],
      [
        {
          type: 'result',
          number: 1_234,
          result: {
            attempt,
            outcome: 'succeeded',
            final: true,
            unchanged: false,
            exitCode: 0,
            signal: null,
            reason: null,
            phase: 'run',
            iterations: 1,
            startedAt: at,
            finishedAt: at,
            durationMs: 0,
            outputs: {},
            logs: { stdout: 0, stderr: 0 },
          },
        },
        { type: 'pull', credit: 1 },
      ],
    ],
  };
}
