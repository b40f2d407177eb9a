/** Waves of a rolling unit: each is finished before the next is opened, canaries are chosen among reachable nodes. */
import { present } from '../../shared/assert.ts';
import { waveTargetsOf } from './amount.ts';
import type { Run, UnitState } from './state.ts';
import { bytesOfNames, type Turn } from './turn.ts';

/** Opens the next wave if the last one is done; false when there is none left. */
export function openWave(turn: Turn, run: Run, unit: UnitState): boolean {
  const targets = waveTargetsOf(unit.unit.strategy, unit.nodes.length);
  const wave = unit.wave + 1;
  const target = targets[wave];
  if (target === undefined) return false;
  const usable = (node: string): boolean => {
    const member = present(run.members.get(node), `member ${node}`);
    return (
      member.out === null &&
      member.node.contact === 'connected' &&
      member.node.administration === 'in-service'
    );
  };
  const left = unit.nodes.filter((node) => !unit.waveOf.has(node));
  const chosen = [...left.filter(usable), ...left.filter((node) => !usable(node))].slice(
    0,
    target - unit.waveOf.size,
  );
  turn.emit({ type: 'WaveOpened', run: run.id, unit: unit.unit.id, wave, nodes: chosen });
  turn.bytes += bytesOfNames(chosen.length);
  return true;
}
