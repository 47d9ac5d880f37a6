#!/usr/bin/env node
// `npm run build`: the core as one file that every host loads, thin host files around it, and adapters as files of their own.
//
//   dist/core.js                 src/core, src/blocks and src/app with Hono, zod and YAML; the same bytes on every host
//   dist/core-cel.js             CEL, which core.js loads with the first expression; the same bytes on every host
//   dist/node.js bun.js deno.js  hosts; they import core.js
//   dist/worker.js, worker/      the Workers host with the adapters that run there
//   dist/adapters/               one file per component type, loaded when a component asks for it
//   dist/chunks/                 what adapters share, and the vendor libraries, loaded when an adapter opens
//
// How: hosts and adapters are bundled first, with everything below src/core, src/blocks and src/app left out; what they
// import from there becomes the list of the core's exports. Same sources, same output, byte for byte.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
const maxCoreGzip = 300 * 1024;
/** Written by the hosts and adapters where the core is meant; becomes a relative path at the end. */
const coreName = 'outrigger:core';
const coreHome = /^src\/(core|blocks|app)\//;
/** Libraries that live in the core and nowhere else. */
const coreLibraries = /^(hono|zod|yaml)(\/|$)/;
/** What the core loads only when an expression is there: a file of its own beside it, with the same bytes on every host, too. */
const coreExtra = { file: 'core-cel.js', libraries: { '@marcbachmann/cel-js': 'Environment', re2js: 'RE2JS' } };
const started = performance.now();
/** Name in the core file → module it comes from. */
const aliases = new Map();

const common = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  metafile: true,
  format: 'esm',
  target: 'es2023',
  charset: 'ascii', // see withPragma
  legalComments: 'none',
  minifySyntax: true,
  minifyWhitespace: true,
  // names stay: stack traces in users' reports must be readable, and after compression they cost little
  minifyIdentifiers: false,
  logLevel: 'warning',
  external: ['node:*', 'cloudflare:*', ...builtinModules],
};

const hosts = ['node', 'bun', 'deno'].filter((host) => existsSync(join(root, `src/hosts/${host}/main.ts`)));
// the manifests say which files are component types; the others are parts of them
const adapters = [...new Set(files('src/adapters').filter((file) => /^src\/adapters\/manifest/.test(file)).flatMap((file) => [...readFileSync(join(root, file), 'utf8').matchAll(/import\('\.\/([^']+)\.ts'\)/g)].map((found) => found[1])))].sort();
const [shared, worker] = await Promise.all([
  build({
    ...common,
    platform: 'node',
    // the copy on npm asks for copies of Node's modules (`process/`), which no bundle can hold
    alias: { 'readable-stream': 'node:stream' },
    conditions: ['node'], // not 'import': it would also hold for require(), and give a CommonJS library the ES wrapper of its own part
    splitting: true,
    outdir: dist,
    entryPoints: Object.fromEntries([
      ...hosts.map((host) => [host, `src/hosts/${host}/main.ts`]),
      ...adapters.map((name) => [`adapters/${name}`, `src/adapters/${name}.ts`]),
    ]),
    chunkNames: 'chunks/[name]-[hash]',
    plugins: [leaveCoreOut(), awsModules({ withoutNode: false }), timerOfKafka()],
  }),
  build({
    ...common,
    platform: 'node',
    conditions: ['workerd', 'worker', 'browser', 'import'],
    splitting: true,
    outdir: dist,
    entryPoints: { worker: 'src/hosts/worker/main.ts' },
    chunkNames: 'worker/[name]-[hash]',
    external: [...common.external, './resources.yaml'],
    plugins: [leaveCoreOut(), awsModules({ withoutNode: true })],
  }),
]);
const outside = [...shared.outputFiles, ...worker.outputFiles].map(({ path, text }) => ({ name: relative(dist, path).replaceAll('\\', '/'), ...cutFromCore(text) }));
const core = withPragma(await buildCore(new Map(outside.flatMap(({ wanted }) => wanted))));
const extra = withPragma(await buildExtra());
const sha256 = createHash('sha256').update(core).digest('hex');

// all at once at the end: a sidecar started meanwhile sees the old build or the new one, and what is gone from the sources goes
const fresh = join(root, `.data/build-${process.pid}`);
const old = `${fresh}-old`;
const write = (path, content) => {
  mkdirSync(dirname(join(fresh, path)), { recursive: true });
  writeFileSync(join(fresh, path), content);
};
write('core.js', core);
write(coreExtra.file, extra);
write('package.json', '{"type":"module","private":true}\n');
// without it Deno aborts a request's signal on success too, and says so on stderr
write('deno.json', '{"unstable":["no-legacy-abort"]}\n');
const resources = readdirSync(join(root, 'deploy/worker')).filter((file) => /\.ya?ml$/.test(file)).sort();
write('resources.yaml', resources.map((file) => readFileSync(join(root, 'deploy/worker', file), 'utf8')).join('---\n'));
/** Files of the worker: what asks for Node's modules there asks in vain, and only when it is used. */
const ofWorker = new Set(worker.outputFiles.map(({ path }) => relative(dist, path).replaceAll('\\', '/')));
for (const { name, text } of outside) {
  const toCore = posix.relative(posix.dirname(name), 'core.js');
  const complete = ofWorker.has(name) ? (same) => same : (own) => withPragma(withRequire(own));
  write(name, complete(text.replaceAll(`"${coreName}"`, `"${toCore.startsWith('.') ? toCore : `./${toCore}`}"`).replaceAll('__CORE_SHA256__', sha256)));
}
if (existsSync(dist)) renameSync(dist, old);
renameSync(fresh, dist);
rmSync(old, { recursive: true, force: true });
report();

/** What runs on all hosts: bundled without a platform, and refused when anything of a platform bleeds in. */
async function buildCore(wanted) {
  const contents = [...wanted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([alias, { module, name }]) => `export { ${name} as ${alias} } from ${JSON.stringify(coreLibraries.test(module) ? module : `./${module}`)};`).join('\n');
  const result = await build({
    ...common,
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['worker', 'browser', 'import'],
    outfile: join(dist, 'core.js'),
    stdin: { contents, resolveDir: root, sourcefile: 'core-exports.ts', loader: 'ts' },
    external: [],
    plugins: [{
      name: 'core-extra',
      setup: ({ onResolve }) => onResolve({ filter: /^(@|re2js)/ }, ({ path }) => (path in coreExtra.libraries ? { path: `./${coreExtra.file}`, external: true } : undefined)),
    }],
  });
  const [{ inputs }] = Object.values(result.metafile.outputs);
  const foreign = Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0 && !coreHome.test(file) && !/(^|\/)node_modules\/(@opentelemetry\/api|hono|zod|yaml)\//.test(file) && file !== 'core-exports.ts');
  if (foreign.length) refuse(`the core contains what does not belong there: ${foreign.slice(0, 10).join(', ')}`);
  const [{ text }] = result.outputFiles;
  const bleeding = [/["'`](?:node|bun|cloudflare):\w+/, /(?<![\w$.])process\.\w+/, /(?<![\w$.])Deno\.\w+/, /(?<![\w$.])Bun\.\w+/, /\brequire\(/, /\b__dirname\b/, /\bioredis\b/].map((word) => word.exec(text)?.[0]).filter(Boolean);
  if (bleeding.length) refuse(`the core names a runtime: ${bleeding.join(', ')}`);
  const gzip = gzipSync(text, { level: 9 }).length;
  if (gzip > maxCoreGzip) refuse(`the core has ${gzip} bytes after gzip, allowed are ${maxCoreGzip}`);
  return text;
}

async function buildExtra() {
  const contents = Object.entries(coreExtra.libraries).map(([library, name]) => `export { ${name} } from '${library}';`).join('\n');
  const { outputFiles: [{ text }] } = await build({ ...common, platform: 'neutral', mainFields: ['module', 'main'], conditions: ['worker', 'browser', 'import'], outfile: join(dist, coreExtra.file), stdin: { contents, resolveDir: root }, external: [] });
  return text;
}

/** Leaves imports of the core's modules in the output, as `outrigger:core/<module>`. */
function leaveCoreOut() {
  const known = new Map();
  const exportsOf = (module) => {
    if (!known.has(module)) {
      const ours = coreHome.test(module);
      const options = ours ? { entryPoints: [module], bundle: false, external: undefined } : { stdin: { contents: `export * from '${module}'`, resolveDir: root }, external: [] };
      known.set(module, build({ ...common, platform: 'neutral', mainFields: ['module', 'main'], ...options, outfile: 'exports.js' }).then(({ metafile }) => metafile.outputs['exports.js'].exports));
    }
    return known.get(module);
  };
  return {
    name: 'leave-core-out',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^outrigger:core\// }, ({ path }) => ({ path, external: true, sideEffects: false }));
      onResolve({ filter: /^\.{1,2}\// }, ({ path, importer, resolveDir, kind }) => {
        const file = relative(root, resolve(resolveDir, path)).replaceAll('\\', '/');
        if (!coreHome.test(file)) return undefined;
        return kind === 'dynamic-import' ? partly(file, importer) : { path: `${coreName}/${file}`, external: true, sideEffects: false };
      });
      onResolve({ filter: coreLibraries }, ({ path, importer }) => (importer.includes('node_modules') ? undefined : partly(path, importer)));
      // `import * as z` and `await import(…)`: a module of its own that passes on what this one importer uses
      onLoad({ filter: /.*/, namespace: 'core-part' }, async ({ path }) => {
        const [module, importer] = path.split(' ');
        const source = readFileSync(join(root, importer), 'utf8');
        const space = new RegExp(`import \\* as (\\w+) from '${module}'`).exec(source)?.[1];
        const words = new Set(source.match(space ? new RegExp(`(?<=\\b${space}\\.)\\w+`, 'g') : /[A-Za-z_$][\w$]*/g));
        const names = (await exportsOf(module)).filter((name) => words.has(name)).sort();
        return { contents: `export { ${names.join(', ')} } from '${coreName}/${module}';`, loader: 'js' };
      });
    },
  };
  function partly(module, importer) {
    return { path: `${module} ${relative(root, importer)}`, namespace: 'core-part', sideEffects: false };
  }
}

/**
 * The AWS SDK as ES modules, so that what nobody uses is left out. Which of its files do without Node is said by the `browser`
 * entries of its packages, which esbuild reads only for browsers.
 */
function awsModules({ withoutNode }) {
  const described = new Map();
  const packageAt = (folder) => {
    if (!described.has(folder)) described.set(folder, JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
    return described.get(folder);
  };
  const pathOf = (entry) => (typeof entry === 'string' ? entry : entry.import);
  return {
    name: 'aws-modules',
    setup({ onResolve }) {
      onResolve({ filter: /^@(aws-sdk|smithy)\// }, ({ path, resolveDir }) => {
        const [name, inside] = [path.split('/').slice(0, 2).join('/'), path.split('/').slice(2).join('/')];
        let home = resolveDir;
        while (!existsSync(join(home, 'node_modules', name)) && home !== '/') home = dirname(home);
        const folder = join(home, 'node_modules', name);
        const { exports, module } = packageAt(folder);
        const entry = exports === undefined ? module : exports[inside === '' ? '.' : `./${inside}`];
        return { path: join(folder, pathOf((withoutNode && entry.browser) || entry.module || entry)), sideEffects: false };
      });
      onResolve({ filter: /^\.{1,2}\// }, ({ path, importer, resolveDir }) => {
        const folder = withoutNode ? /^.*\/node_modules\/@(aws-sdk|smithy)\/[^/]+/.exec(importer)?.[0] : undefined;
        if (folder === undefined) return undefined;
        const file = `./${relative(folder, resolve(resolveDir, path)).replaceAll('\\', '/').replace(/\.js$/, '')}`;
        const { browser = {} } = packageAt(folder);
        const other = browser[file] ?? browser[`${file}.js`];
        // its XML parser for browsers needs a DOMParser, which Workers do not have; the other one needs nothing
        return other && !file.endsWith('/xml-parser') ? { path: join(folder, other.replace(/(\.js)?$/, '.js')), sideEffects: false } : undefined;
      });
    },
  };
}

/** Rewrites what a built file imports from the core's modules into imports from the one core file. */
function cutFromCore(text) {
  const wanted = [];
  const rewritten = text.replace(/\b(import|export)\s*(?:\{([^}]*)\}|(\*\s*as\s+[\w$]+)|([\w$]+))?\s*(?:from\s*)?"outrigger:core\/([^"]+)"/g, (found, verb, list, all, byDefault, module) => {
    if (all || (list === undefined && byDefault === undefined)) refuse(`import the names you need from ${module}, not the whole of it: ${found}`);
    const items = byDefault ? [`default as ${byDefault}`] : list.split(',');
    const names = items.map((item) => {
      const [name, local = name] = item.trim().split(/\s+as\s+/);
      const alias = `${module.replace(/^src\//, '').replace(/\.ts$/, '').replace(/[^A-Za-z0-9]/g, '_')}$${name}`;
      const other = aliases.get(alias);
      if (other !== undefined && other !== module) refuse(`${module} and ${other} have names too much alike`);
      aliases.set(alias, module);
      wanted.push([alias, { module, name }]);
      return `${alias} as ${local}`;
    });
    return `${verb}{${names.join(',')}}from"${coreName}"`;
  });
  return { text: rewritten, wanted };
}

/** CommonJS vendor libraries ask for Node's own modules with `require`, which an ES module does not have. */
function withRequire(text) {
  return text.includes('typeof require') ? `import{createRequire as outriggerRequire}from"node:module";const require=outriggerRequire("file:///");${text}` : text;
}

/**
 * Bun runs such a file as it stands, but reads it as Latin-1. Without the pragma it rewrites every file at each start where it cannot
 * keep a cache, which makes the start half as long again. esbuild leaves other characters in regular expressions and tagged templates.
 */
function withPragma(text) {
  if (/\\[^\0-\x7f]|String\.raw`[^`]*[^\0-\x7f`]/.test(text)) refuse('a character beyond ASCII stands where it cannot be escaped');
  return `// @bun\n${text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}`;
}

function files(folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join(folder, file.replaceAll('\\', '/')))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .sort();
}

function report() {
  const size = (text) => `${(text.length / 1024).toFixed(1)} KB, gzip ${(gzipSync(text, { level: 9 }).length / 1024).toFixed(1)} KB`;
  const at = (name) => `${size(readFileSync(join(dist, name)))}`;
  console.log(`dist/core.js    ${size(core)}   sha256 ${sha256}`);
  console.log(`dist/${coreExtra.file} ${size(extra)}`);
  for (const host of [...hosts, 'worker']) console.log(`dist/${`${host}.js`.padEnd(10)} ${at(`${host}.js`)}`);
  console.log(`${adapters.length} adapters, ${outside.length} files, ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** KafkaJS sets a timer for a time that has passed: the same as one for now, but Node says so on stderr once per process. */
function timerOfKafka() {
  return {
    name: 'timer-of-kafka',
    setup({ onLoad }) {
      onLoad({ filter: /kafkajs\/src\/network\/requestQueue\/index\.js$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        const contents = text.replace('let scheduleAt = this.throttledUntil - Date.now()', 'let scheduleAt = Math.max(0, this.throttledUntil - Date.now())');
        if (contents === text) refuse('the timer of KafkaJS is another one now: see timerOfKafka()');
        return { contents, loader: 'js' };
      });
    },
  };
}

function refuse(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}
