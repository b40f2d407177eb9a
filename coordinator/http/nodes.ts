/** /api/nodes: who is there, what operators say of them, and what they wait for. */

import type { Diagnostic } from '../../shared/diagnostic.ts';
import { LockstepError } from '../../shared/errors.ts';
import { checkExpression } from '../../shared/expressions/check.ts';
import { evaluateSelector } from '../../shared/expressions/evaluate.ts';
import { limits } from '../../shared/limits.ts';
import { selectPlace } from '../../shared/pipeline/places.ts';
import type { Lookup } from '../core/commands.ts';
import { type ExpectationChange, judgeExpectations, unmetExpectations } from '../core/expected-nodes.ts';
import { explainExpected, explainNode } from '../core/explain.ts';
import type { Node, State } from '../core/state.ts';
import { explainPlace } from '../core/upgrades.ts';
import { type InventoryLine, readInventory } from '../inventory/inventory.ts';
import type { ApiPorts } from './ports.ts';
import * as resources from './resources.ts';
import {
  answers,
  createRoute,
  findNode,
  jsonBody,
  nameParam,
  noContent,
  pageOf,
  type Router,
  readState,
} from './routing.ts';
import { viewExplanation } from './views/explanation.ts';
import { type NodeView, viewNamed, viewOffer } from './views/node.ts';
import { viewEffectiveParams } from './views/param.ts';

const listNodes = createRoute({
  method: 'get',
  path: '/api/nodes',
  request: { query: resources.nodesQuery },
  responses: answers(200, resources.nodePage, 'Nodes by name'),
});

const getNode = createRoute({
  method: 'get',
  path: '/api/nodes/{name}',
  request: { params: nameParam },
  responses: answers(200, resources.node, 'The node with its facts'),
});

const importNodes = createRoute({
  method: 'post',
  path: '/api/nodes/import',
  request: jsonBody(resources.inventory),
  responses: answers(200, resources.imported, 'What each line changed, or would change'),
});

const replaceNode = createRoute({
  method: 'post',
  path: '/api/nodes/{name}/replacement',
  request: { params: nameParam, ...jsonBody(resources.reasonGiven) },
  responses: answers(200, resources.node, 'The node, which waits for another machine'),
});

const labelNode = createRoute({
  method: 'patch',
  path: '/api/nodes/{name}/labels',
  request: { params: nameParam, ...jsonBody(resources.labelChange) },
  responses: answers(200, resources.node, 'The node with its new labels'),
});

const administerNode = createRoute({
  method: 'post',
  path: '/api/nodes/{name}/administration',
  request: { params: nameParam, ...jsonBody(resources.administrationChange) },
  responses: answers(200, resources.node, 'The node in its new state'),
});

const removeNode = createRoute({
  method: 'delete',
  path: '/api/nodes/{name}',
  request: { params: nameParam, query: resources.reasonGiven },
  responses: noContent,
});

const getNodeParams = createRoute({
  method: 'get',
  path: '/api/nodes/{name}/params',
  request: { params: nameParam, query: resources.nodeParamsQuery },
  responses: answers(200, resources.effectiveParams, 'What the node gets, and from which layer'),
});

const offerAgent = createRoute({
  method: 'post',
  path: '/api/agents/offers',
  request: jsonBody(resources.agentOffer),
  responses: answers(201, resources.agentOffered, 'The offer, which nodes take one after the other'),
});

const explain = createRoute({
  method: 'get',
  path: '/api/nodes/{name}/why',
  request: { params: nameParam },
  responses: answers(200, resources.explanations, 'What each of its unfinished jobs waits for'),
});

export function addNodes(api: Router, ports: ApiPorts): void {
  const { sequencer, lookup, blobs } = ports;

  api.openapi(listNodes, async (context) => {
    const query = context.req.valid('query');
    const selects = query.where === undefined ? () => true : selectorOf(query.where, lookup);
    const page = await readState(context, ports, (state) => {
      const expected = unmetExpectations(state).map(({ node: name, labels }) => ({
        name,
        labels,
        factsDigest: null,
      }));
      const all: Selectable[] = [...state.nodes.values(), ...expected];
      const { items, next } = pageOf(
        all.filter(selects).sort((a, b) => (a.name < b.name ? -1 : 1)),
        query,
        (node, name) => node.name > name,
        (node) => node.name,
      );
      return { items: items.map(({ name }) => viewNode(state, name, lookup, query.facts)), next };
    });
    return context.json(page, 200);
  });

  api.openapi(getNode, async (context) => {
    const { name } = context.req.valid('param');
    return context.json(await readState(context, ports, (state) => viewNode(state, name, lookup, true)), 200);
  });

  api.openapi(importNodes, async (context) => {
    const { file, text, dryRun } = context.req.valid('json');
    const { lines, changes, faults } = await readState(context, ports, (state) =>
      judgeInventory(state, file, text),
    );
    if (faults.length > 0) {
      const what = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
      throw new LockstepError('invalid', `${file} has ${what}, and nothing of it was imported`, {
        diagnostics: faults,
      });
    }
    const nodes = lines.map(({ expectation }) => expectation);
    if (!dryRun) await sequencer.submit({ type: 'ExpectNodes', nodes, by: context.get('by') });
    const joined = await readState(context, ports, (state) =>
      nodes.map(({ node }) => state.nodes.get(node)?.vacancy === null),
    );
    const told = lines.map(({ expectation: { node: name }, at }, index) => ({
      name,
      line: at('name').line,
      change: changes[index] ?? ('unchanged' as const),
      joined: joined[index] ?? false,
    }));
    return context.json({ dryRun, nodes: told }, 200);
  });

  api.openapi(replaceNode, async (context) => {
    const { name } = context.req.valid('param');
    const { reason } = context.req.valid('json');
    await sequencer.submit({ type: 'ReplaceNode', node: name, by: context.get('by'), reason });
    return context.json(await readState(context, ports, (state) => viewNode(state, name, lookup, true)), 200);
  });

  api.openapi(labelNode, async (context) => {
    const { name } = context.req.valid('param');
    const { labels } = context.req.valid('json');
    const set: Record<string, string> = {};
    const unset: string[] = [];
    for (const [key, value] of Object.entries(labels)) {
      if (value === null) unset.push(key);
      else set[key] = value;
    }
    await sequencer.submit({ type: 'LabelNode', node: name, set, unset, by: context.get('by') });
    return context.json(await readState(context, ports, (state) => viewNode(state, name, lookup, true)), 200);
  });

  api.openapi(administerNode, async (context) => {
    const { name } = context.req.valid('param');
    const { administration, reason } = context.req.valid('json');
    const by = context.get('by');
    await sequencer.submit({ type: 'AdministerNode', node: name, administration, by, reason });
    return context.json(await readState(context, ports, (state) => viewNode(state, name, lookup, true)), 200);
  });

  api.openapi(removeNode, async (context) => {
    const { name } = context.req.valid('param');
    const { reason } = context.req.valid('query');
    await sequencer.submit({ type: 'RemoveNode', node: name, by: context.get('by'), reason });
    return context.body(null, 204);
  });

  api.openapi(getNodeParams, async (context) => {
    const { name } = context.req.valid('param');
    const { run: id } = context.req.valid('query');
    const params = await readState(context, ports, (state) => {
      const node = findNode(state, name);
      const run = id === undefined ? null : state.runs.get(id);
      if (run === undefined)
        throw new LockstepError('not-found', `no run that is not archived has the id ${id}`);
      return viewEffectiveParams(node, run, state, lookup);
    });
    return context.json(params, 200);
  });

  api.openapi(offerAgent, async (context) => {
    const program = context.req.valid('json');
    if (program.where !== null) selectorOf(program.where, lookup);
    // From here on the digest is named by the offer that stands, and kept.
    if (!(await blobs.has(program.digest)))
      throw new LockstepError('not-found', `${program.digest} is not stored here: send the file first`);
    await sequencer.submit({ type: 'OfferAgent', program, by: context.get('by') });
    const offered = await readState(context, ports, (state) => viewOffer(state, lookup));
    return context.json(offered, 201);
  });

  api.openapi(explain, async (context) => {
    const { name } = context.req.valid('param');
    const items = await readState(context, ports, (state) => {
      const expected = state.nodes.has(name) ? undefined : state.expected.get(name);
      if (expected !== undefined)
        return explainExpected(state, expected).map((one) => viewExplanation(one, ports.stallOf));
      const node = findNode(state, name);
      const upgrade = explainPlace(state, node, lookup);
      const explanations = explainNode(state, node, ports.iterationOf);
      const all = upgrade === undefined ? explanations : [...explanations, upgrade];
      return all.map((one) => viewExplanation(one, ports.stallOf));
    });
    return context.json({ items }, 200);
  });
}

/** A node of the state, or one that is expected. */
function viewNode(state: State, name: string, lookup: Lookup, withFacts: boolean): NodeView {
  const view = viewNamed(state, name, lookup, withFacts);
  if (view === undefined)
    throw new LockstepError('not-found', `no node is named ${name}: see lockstep nodes`);
  return view;
}

type Judged = {
  readonly lines: readonly InventoryLine[];
  readonly changes: readonly ExpectationChange[];
  readonly faults: readonly Diagnostic[];
};

/** What a file would change, or all that is wrong with it, with the places. */
function judgeInventory(state: State, file: string, text: string): Judged {
  const read = readInventory(file, text);
  if (!read.ok) return { lines: [], changes: [], faults: read.diagnostics };
  const { lines } = read;
  const { faults, changes } = judgeExpectations(
    state,
    lines.map(({ expectation }) => expectation),
  );
  const placed = faults.slice(0, limits.diagnosticsMax).map(({ index, field, message }): Diagnostic => {
    const place = lines[index]?.at(field) ?? { line: 1, column: 1 };
    return { severity: 'error', file, ...place, message };
  });
  return { lines, changes, faults: placed };
}

type Selectable = Pick<Node, 'name' | 'labels' | 'factsDigest'>;

/** Whether a node fits a CEL selector; what a node does not have makes it not fit. */
function selectorOf(where: string, lookup: Lookup): (node: Selectable) => boolean {
  const { faults } = checkExpression(where, selectPlace('where'), 'bool');
  if (faults.length > 0) {
    const reasons = faults.map(({ message, start }) => `character ${start + 1}: ${message}`);
    throw new LockstepError(
      'invalid',
      `where ${JSON.stringify(where)} cannot be used: ${reasons.join('; ')}`,
    );
  }
  return ({ name, labels, factsDigest }) => {
    const facts = factsDigest === null ? undefined : lookup.facts(factsDigest);
    const fits = evaluateSelector(where, { name, labels, facts: facts ?? {} });
    if (!fits.ok)
      throw new LockstepError('invalid', `where ${JSON.stringify(where)} fails on ${name}: ${fits.reason}`);
    return fits.value;
  };
}
