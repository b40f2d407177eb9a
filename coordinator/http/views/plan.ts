/** What a run would do, as the API shows it. */
import type * as z from 'zod';
import type { Diagnostic } from '../../../shared/diagnostic.ts';
import type { PlanPreview } from '../../core/plan-preview.ts';
import type * as resources from '../resources.ts';

export type PlanView = z.infer<typeof resources.plan>;

type About = {
  readonly pipeline: string;
  readonly cluster: string;
  readonly file: string;
  readonly warnings: readonly Diagnostic[];
};

/** Warnings about nodes have no place in the file; they stand at its beginning. */
export function viewPlan(preview: PlanPreview, { pipeline, cluster, file, warnings }: About): PlanView {
  const aboutNodes = preview.warnings.map(
    (message): Diagnostic => ({ severity: 'warning', file, line: 1, column: 1, message }),
  );
  return {
    pipeline,
    cluster,
    roles: preview.roles.map((role) => ({
      ...role,
      nodes: [...role.nodes],
      expected: [...role.expected],
      excluded: [...role.excluded],
    })),
    units: preview.units.map((unit) => ({
      ...unit,
      steps: unit.steps.map(({ id, nodes, gates }) => ({ id, nodes: [...nodes], gates: [...gates] })),
      waves: unit.waves.map((wave) => [...wave]),
      domains: unit.domains.map((domain) => ({ ...domain, nodes: [...domain.nodes] })),
    })),
    downMax: preview.downMax,
    faults: [...preview.faults],
    warnings: [...warnings, ...aboutNodes].map(({ expected, nearest, ...diagnostic }) => ({
      ...diagnostic,
      ...(expected === undefined ? {} : { expected }),
      ...(nearest === undefined ? {} : { nearest }),
    })),
  };
}
