// Keeps compiled code between starts, which halves them. Set here and not through NODE_COMPILE_CACHE,
// because the environment would pass it on to every job and to whatever Node a job runs.
require('node:module').enableCompileCache(
  require('node:path').join(__dirname, '../node_modules/.cache/compile'),
);
