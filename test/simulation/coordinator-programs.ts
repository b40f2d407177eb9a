/**
 * The versions of the coordinator that may run here. All write the same journal; an old one does not know what
 * agents say of their features, so that to it none of them has any.
 */
import { type AgentMessage, formatFrame, parseAgentFrame } from '../../shared/messages.ts';

export type CoordinatorProgram = { readonly version: string; readonly knowsFeatures: boolean };

export const newestCoordinator: CoordinatorProgram = { version: '0.4.0', knowsFeatures: true };

export const coordinatorPrograms: readonly CoordinatorProgram[] = [
  { version: '0.1.0', knowsFeatures: false },
  { version: '0.3.0', knowsFeatures: true },
  newestCoordinator,
];

/** What the program makes of a frame from an agent. */
export function frameFor({ knowsFeatures }: CoordinatorProgram, frame: string): string {
  if (knowsFeatures) return frame;
  const parsed = parseAgentFrame(frame);
  if (!parsed.ok) return frame;
  return formatFrame(
    parsed.messages.map(
      (message): AgentMessage => (message.type === 'hello' ? { ...message, features: [] } : message),
    ),
  );
}
