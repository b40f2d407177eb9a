/**
 * The HTTP API as data: the schema of every request and response, in the words of the vocabulary, for the
 * server, its OpenAPI document and the command line alike. Rules about how a request is answered do not
 * belong here. Only zod and shared/ are imported, here and in resources/, so that a client need not load
 * the server.
 *
 * Authorization: Bearer <operator token>, except where noted. Times are ISO 8601 in UTC; what is not known is
 * null, what was not asked for is absent. Errors are application/problem+json (`problem`). Lists are
 * `{items, next}`; `next` goes into `?cursor=` of the next request and is null on the last page. Reads carry
 * `Lockstep-Seq`: they show the state at that seq, and nothing of it can be lost any more; `If-None-Match` with
 * their ETag is answered by 304 while nothing happened.
 *
 *   GET    /health                         health (no token); 503 while it cannot accept work
 *   GET    /metrics                        Prometheus text (no token from loopback)
 *   GET    /openapi.json                   this table with its schemas (no token)
 *   GET    /schema/pipeline.json           JSON Schema of the pipeline language (no token)
 *   GET    /api/nodes                      nodesQuery → nodePage
 *   POST   /api/nodes/import               inventory → imported; 422 with every diagnostic
 *   GET    /api/nodes/:name                node
 *   PATCH  /api/nodes/:name/labels         labelChange → node
 *   POST   /api/nodes/:name/administration administrationChange → node
 *   POST   /api/nodes/:name/replacement    reasonGiven → node
 *   DELETE /api/nodes/:name                reasonGiven (query) → 204
 *   GET    /api/nodes/:name/params         nodeParamsQuery → effectiveParams
 *   GET    /api/nodes/:name/why            explanations
 *   GET    /api/clusters                   clusterList
 *   PATCH  /api/clusters/:name             clusterChange → cluster
 *   POST   /api/agents/offers              agentOffer → 201 agentOffered; the file by its digest was put before
 *   POST   /api/runs                       submission → 201 run with `warnings`; 422 with every diagnostic
 *   POST   /api/plans                      submission → plan; runs nothing
 *   GET    /api/runs                       runsQuery → runPage
 *   GET    /api/runs/:id                   runQuery → run
 *   GET    /api/runs/:id/why               explanations
 *   GET    /api/runs/:id/logs              logsQuery → text/plain, or logChunk a line (ndjson)
 *   GET    /api/runs/:id/report            report
 *   POST   /api/runs/:id/approve           approval → run
 *   POST   /api/runs/:id/reject            approval → run
 *   POST   /api/runs/:id/cancel            reasonGiven → run
 *   POST   /api/runs/:id/resume            resumption → run
 *   POST   /api/jobs/decide                jobDecision → run
 *   GET    /api/events                     eventsQuery → event a line (ndjson); with `follow` it goes on
 *   GET    /api/events/stream              eventsQuery → server-sent events, `id:` is a cursor `lineage:seq`;
 *                                          goes on after `Last-Event-ID`; 410 when that cursor expired
 *   GET    /api/params                     paramsQuery → paramList
 *   PUT    /api/params                     paramSetting → 204
 *   DELETE /api/params                     paramUnsetting (query) → 204
 *   GET    /api/services                   servicesQuery → serviceList
 *   POST   /api/tokens                     tokenRequest → 201 tokenCreated, the only time the secret is shown
 *   GET    /api/tokens                     tokenList
 *   DELETE /api/tokens/:id                 204
 *   POST   /api/receivers                  receiverDeclaration → 201 receiverDeclared; a key that was made is shown once
 *   GET    /api/receivers                  receiverList
 *   DELETE /api/receivers/:name            204
 *   POST   /api/receivers/:name/test       deliveryTest; one delivery, now
 *   PUT    /api/profiles                   profileApplication → profile; instead of what it was
 *   GET    /api/profiles                   profileList
 *   DELETE /api/profiles/:name             204
 *   POST   /api/triggers                   triggerDeclaration → 201 triggerDeclared; the key of a webhook is shown once
 *   GET    /api/triggers                   triggerList
 *   GET    /api/triggers/:name             trigger
 *   DELETE /api/triggers/:name             204
 *   POST   /api/triggers/:name/fire        → 201 triggerFired; a run, now
 *   POST   /hooks/:name/:key               202; without a token, for who knows the key; the body is not read
 *   POST   /api/upkeep/pauses             201 upkeepPause: for a minute nothing of the data is archived or deleted
 *   PUT    /api/upkeep/pauses/:id         204: for another minute; 404 when it had ended
 *   DELETE /api/upkeep/pauses/:id         204; 404 when it had ended
 *   POST   /blobs/missing                  digests → digests that the coordinator does not have
 *   PUT    /blobs/:digest                  bytes → 204 (200 when it was there); also with a join token
 *   GET    /blobs/:digest/offset           from where on a `PUT` with `Content-Range` goes on; also with a join token
 *   GET    /blobs/:digest                  bytes; `Range` understood; also with a join token
 *   GET    /agent                          websocket upgrade of agents (join token); see shared/messages.ts
 *
 * What is followed says something at least every 15 s: an empty line (ndjson), a comment (server-sent events).
 * A submission names files by digest: ask /blobs/missing, PUT what is missing, then POST the submission.
 */
export * from './resources/access.ts';
export * from './resources/cluster.ts';
export * from './resources/node.ts';
export * from './resources/param.ts';
export * from './resources/plan.ts';
export { reasonGiven } from './resources/primitives.ts';
export * from './resources/problem.ts';
export * from './resources/profile.ts';
export * from './resources/receiver.ts';
export * from './resources/report.ts';
export * from './resources/run.ts';
export * from './resources/stream.ts';
export * from './resources/trigger.ts';
