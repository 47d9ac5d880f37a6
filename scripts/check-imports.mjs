#!/usr/bin/env node
// Keeps the floors of the house (docs/architecture.md): who may import whom, and who may name a runtime or a vendor library.
//
//   node scripts/check-imports.mjs [folder]     default: this project; the folder must contain src/
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const builtins = new Set(builtinModules);

/** A file's place: `{ floor: 'adapters', block: 'state' }`. */
function placeOf(file) {
  const [, floor = '', block = ''] = file.split('/');
  return { floor, block };
}

/** Libraries each floor may import statically. Everything else that is no file of ours is a vendor library. */
const libraries = {
  core: ['zod', '@marcbachmann/cel-js', 're2js'],
  blocks: ['yaml', 'zod'],
  app: ['@opentelemetry/api', 'hono'],
  adapters: ['zod'],
  hosts: ['undici'],
};

/** Why `from` may not import the file `to`; undefined when it may. */
function floorProblem(from, to, { dynamic }) {
  const [a, b] = [placeOf(from), placeOf(to)];
  const may = (() => {
    switch (a.floor) {
      case 'core':
        return b.floor === 'core';
      case 'blocks':
        return b.floor === 'blocks' || b.floor === 'core';
      case 'app':
        if (b.floor === 'app') return !(['http', 'grpc'].includes(a.block) && ['http', 'grpc'].includes(b.block) && a.block !== b.block);
        return b.floor === 'blocks' || b.floor === 'core';
      case 'adapters':
        if (/^src\/adapters\/manifest[^/]*$/.test(from)) return b.floor === 'adapters' ? dynamic : b.floor === 'blocks';
        if (b.floor === 'adapters') return !/\/manifest[^/]*$/.test(to);
        return b.floor === 'blocks' || b.floor === 'core';
      case 'hosts':
        return b.floor === 'adapters' ? /^src\/adapters\/manifest[^/]*$/.test(to) : true;
      default:
        return true;
    }
  })();
  return may ? undefined : `${describe[a.floor] ?? a.floor}, not ${to}`;
}
const describe = {
  core: 'core imports only core',
  blocks: 'blocks import blocks and core',
  app: 'app imports blocks and core (and http and grpc never each other)',
  adapters: 'adapters import blocks and core; a manifest imports adapters only with import()',
  hosts: 'of the adapters, hosts import only the manifest',
};

function libraryProblem(from, name, { dynamic }) {
  const { floor } = placeOf(from);
  if (name.startsWith('node:') || name.startsWith('cloudflare:') || name.startsWith('bun:')) return floor === 'hosts' ? undefined : `only src/hosts may import ${name}`;
  const bare = name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/');
  if (builtins.has(bare) && !libraries[floor]?.includes(bare)) return `write node:${name}, and only in src/hosts`;
  if (libraries[floor]?.includes(bare)) return undefined;
  if (floor === 'adapters' || floor === 'hosts') return dynamic ? undefined : `vendor libraries are loaded with import() when they are needed, not at the top: ${name}`;
  return `${floor} may not use ${name} (allowed: ${libraries[floor]?.join(', ')})`;
}

/** All problems of the tree at `root`, one line each. */
export function problemsIn(root) {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join('src', file.replaceAll('\\', '/')))
    .filter((file) => file.endsWith('.ts'))
    .sort();
  const known = new Set(files);
  const graph = new Map();
  const problems = [];
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    const test = file.endsWith('.test.ts');
    const { floor } = placeOf(file);
    if (posix.basename(file) === 'index.ts' || posix.basename(file) === 'utils.ts') problems.push(`${file}: no barrels and no utils.ts; name the file after what it holds`);
    const code = withoutComments(text);
    const imports = importsOf(code);
    graph.set(file, []);
    for (const { name, dynamic, types, line } of imports) {
      const at = `${file}:${line}`;
      if (!name.startsWith('.')) {
        if (!test && !types) add(at, libraryProblem(file, name, { dynamic }));
        continue;
      }
      const target = posix.join(posix.dirname(file), name);
      if (!target.startsWith('src/')) {
        // a host may read its own version
        if (!test && !(target === 'package.json' && file.startsWith('src/hosts/'))) problems.push(`${at}: imports ${target}, which is outside src`);
        continue;
      }
      if (/\.ts$/.test(target) && !known.has(target)) {
        problems.push(`${at}: ${target} does not exist`);
        continue;
      }
      if (!/\.\w+$/.test(target)) problems.push(`${at}: write the extension: ${name}.ts`);
      if (test) continue;
      if (target.endsWith('.test.ts')) problems.push(`${at}: only tests may import a test`);
      add(at, floorProblem(file, target, { dynamic, types }));
      if (!dynamic && !types) graph.get(file).push(target);
    }
    if (test) continue;
    if (floor !== 'hosts') {
      const words = withoutTexts(code);
      for (const [word] of words.matchAll(/(?<![\w$.'"-])(?:process|Deno|Bun)(?=\s*\.\s*[a-zA-Z]|\?\.)/g)) add(file, declared(words, word) ? undefined : `only src/hosts may say ${word}`);
    }
    if (/^\s*export\s*\*\s*from/m.test(code)) problems.push(`${file}: no \`export * from\`; import each name from where it is made`);
  }
  problems.push(...cyclesOf(graph));
  return problems;

  function add(at, problem) {
    if (problem) problems.push(`${at}: ${problem}`);
  }
}

/** A parameter or variable of that name is not the runtime's. */
const declared = (code, word) => new RegExp(`(?:const|let|function|class)\\s+${word}\\b|[({,]\\s*${word}\\s*[,:)}=]`).test(code);

/** Comments blanked out, lines kept. Strings that look like comments are kept as they are. */
function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<=^|[^:'"`\w\\/])\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, (found) => (found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : found));
}
const withoutTexts = (code) => code.replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\$]|\\.|\$(?!\{))*`/g, "''");

function importsOf(code) {
  const found = [];
  const lineOf = (index) => code.slice(0, index).split('\n').length;
  for (const match of code.matchAll(/^[ \t]*(?:import|export)\s+(type\s+)?(?:([\w*{}\s,$]+?)\s+from\s+)?(['"])([^'"\n]+)\3/gm)) {
    const names = match[2] ?? '';
    const allTypes = /^\{\s*(type\s+\w+(\s+as\s+\w+)?\s*,?\s*)+\}$/.test(names.trim());
    found.push({ name: match[4], dynamic: false, types: Boolean(match[1]) || allTypes, line: lineOf(match.index) });
  }
  for (const match of code.matchAll(/(typeof\s+)?\bimport\(\s*(['"`])([^'"`$\n]+)\2\s*\)(\s*\.\s*[A-Z])?/g)) found.push({ name: match[3], dynamic: true, types: Boolean(match[1] || match[4]), line: lineOf(match.index) });
  return found;
}

/** One line per circle of imports (types do not count: they are gone when the program runs). */
function cyclesOf(graph) {
  const state = new Map();
  const found = [];
  const path = [];
  const visit = (file) => {
    state.set(file, 'open');
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      if (state.get(next) === 'open') found.push(`${next}: imports itself in a circle: ${[...path.slice(path.indexOf(next)), next].join(' → ')}`);
      else if (!state.has(next)) visit(next);
    }
    path.pop();
    state.set(file, 'done');
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return found;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = resolve(process.argv[2] ?? dirname(import.meta.dirname));
  const problems = problemsIn(root);
  for (const problem of problems) console.error(problem);
  if (problems.length) console.error(`\n${problems.length} imports against the floors of the house`);
  process.exitCode = problems.length ? 1 : 0;
}
