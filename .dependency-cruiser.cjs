// Who may import whom: main → edges → core → shared. One rule per promise of the structure, each with the
// reason that a person who breaks it will read. Dead code is knip's business, not this file's.

/** The pure libraries that `shared/` stands on; what else is needed there is an argument. */
const pureLibraries = '(^|/)node_modules/(zod|yaml|croner|@marcbachmann/cel-js)/';

/** Every edge of a side is one folder; its siblings are strangers that only main introduces. */
const edgesAreStrangers = (side, edges) => ({
  name: `${side}-edges-are-strangers`,
  comment: `An edge of the ${side} reaches another one only through core, shared, or what main hands it.`,
  severity: 'error',
  from: { path: `^${side}/(${edges})/` },
  to: { path: `^${side}/(${edges})/`, pathNot: `^${side}/$1/` },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or a third is missing.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'An import must lead to a file of this tree or to an installed package.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'two-sides',
      comment: 'Agent and coordinator meet on the wire: what both need is in shared/.',
      severity: 'error',
      from: { path: '^(agent|coordinator)/' },
      to: { path: '^(agent|coordinator)/', pathNot: '^$1/' },
    },
    {
      name: 'shared-stands-alone',
      comment: 'shared/ is pure: itself and the named libraries; no sides, no node:*, no other package.',
      severity: 'error',
      from: { path: '^shared/', pathNot: '^shared/disk/' },
      to: { pathNot: ['^shared/', pureLibraries] },
    },
    {
      name: 'shared-is-not-on-disk',
      comment: 'shared/disk is an edge; the pure rest of shared/ must not reach for it.',
      severity: 'error',
      from: { path: '^shared/', pathNot: '^shared/disk/' },
      to: { path: '^shared/disk/' },
    },
    {
      name: 'shared-disk-stands-alone',
      comment: 'The one edge that both sides use: shared/, node:* and lowdb.',
      severity: 'error',
      from: { path: '^shared/disk/' },
      to: { pathNot: ['^shared/', '(^|/)node_modules/lowdb/', pureLibraries], dependencyTypesNot: ['core'] },
    },
    {
      name: 'core-is-pure',
      comment:
        'A decision is replayed from the journal alone: core/ uses itself and the pure part of shared/.',
      severity: 'error',
      from: { path: '^(agent|coordinator)/core/' },
      to: { pathNot: ['^$1/core/', '^shared/(?!disk/)'] },
    },
    edgesAreStrangers('agent', 'link|run|discover|metadata|state|upgrade'),
    {
      ...edgesAreStrangers('coordinator', 'journal|http|ws|logs|trust|boot|web|catalog|cli|notify'),
      from: { path: '^coordinator/(journal|http|ws|logs|trust|boot|web|catalog|notify)/' },
    },
    {
      name: 'cli-speaks-http',
      comment: 'The command line is a client like any other: shared/ and the schemas of the HTTP resources.',
      severity: 'error',
      from: { path: '^coordinator/cli/' },
      to: { path: '^coordinator/', pathNot: ['^coordinator/cli/', '^coordinator/http/resources(\\.ts$|/)'] },
    },
    {
      name: 'main-is-the-top',
      comment: 'main wires the parts; a part that imports main is wired twice.',
      severity: 'error',
      from: { path: '^(agent|coordinator|shared)/' },
      to: { path: '^(agent|coordinator)/main\\.ts$' },
    },
    {
      name: 'product-without-scaffolding',
      comment: 'What ships never needs tests, scripts or development dependencies.',
      severity: 'error',
      from: { path: '^(agent|coordinator|shared)/' },
      to: { path: '^(test|scripts)/' },
    },
    {
      name: 'product-dependencies-are-declared',
      comment: 'A package that ships stands in "dependencies" of package.json.',
      severity: 'error',
      from: { path: '^(agent|coordinator|shared)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    // swc, because TypeScript 7 has no JavaScript interface; it also sees imports of types.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|\\.tap)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
