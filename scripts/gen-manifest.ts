#!/usr/bin/env node
// `npm run gen`: from the component definitions in src/adapters, the manifests that load them and the component reference.
//
//   node scripts/gen-manifest.ts            writes src/adapters/manifest.ts, src/adapters/manifest.workers.ts, docs/components.md
//   node scripts/gen-manifest.ts --check    writes nothing; exit code 1 where one of them is stale or an adapter does not load
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AnyDefinition } from '../src/blocks/components/definition.ts';
import type { NameResolverDefinition } from '../src/blocks/invoke/port.ts';
import { componentReference } from './component-reference.ts';

export interface Found<D> {
  /** Path below src/adapters, `state/redis.ts`. */
  file: string;
  definition: D;
}

const root = resolve(import.meta.dirname, '..');
const adapters = join(root, 'src/adapters');
const blocks = ['bindings', 'configuration', 'conversation', 'crypto', 'lock', 'middleware/http', 'pubsub', 'secretstores', 'state'];

const check = process.argv.includes('--check');
const problems: string[] = [];
const components = await find<AnyDefinition>(blocks, (d) => typeof d.block === 'string' && typeof d.metadata?.parse === 'function');
const resolvers = await find<NameResolverDefinition>(['nameresolution'], () => true);

const outputs: Record<string, string> = {
  'src/adapters/manifest.ts': manifest(() => true, 'Every adapter by component type, loaded when a component asks for it.'),
  'src/adapters/manifest.workers.ts': manifest((runtimes) => runtimes.includes('workers'), 'The adapters that run on Cloudflare Workers; of the others only the type is known, so that the refusal is a clear one.'),
  'docs/components.md': componentReference(components, resolvers),
};
const stale = Object.entries(outputs).filter(([file, text]) => readOr(file) !== text);
if (!check) for (const [file, text] of stale) writeFileSync(join(root, file), text);
for (const problem of problems) console.error(problem);
console.log(check ? stale.map(([file]) => `${file} is stale: run npm run gen`).join('\n') || `${components.length} components: all up to date` : `${components.length} components, ${resolvers.length} name resolvers; wrote ${stale.map(([file]) => file).join(', ') || 'nothing new'}`);
if (check && (stale.length > 0 || problems.length > 0)) process.exitCode = 1;

/** The default exports that are definitions; other files of a folder are parts of them. A file that does not load is a problem, the rest goes on. */
async function find<D extends { type: string; open: unknown }>(folders: readonly string[], isDefinition: (candidate: D) => boolean): Promise<Found<D>[]> {
  const found: Found<D>[] = [];
  for (const file of folders.flatMap(sources)) {
    try {
      const { default: definition } = (await import(pathToFileURL(join(adapters, file)).href)) as { default?: D };
      if (definition === undefined) continue;
      if (typeof definition.type !== 'string' || typeof definition.open !== 'function' || !isDefinition(definition)) problems.push(`skipped ${file}: its default export is no component definition`);
      else found.push({ file, definition });
    } catch (error) {
      problems.push(`skipped ${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const seen = new Map<string, string>();
  return found
    .filter(({ file, definition }) => {
      const { versions } = definition as { versions?: readonly string[] };
      for (const version of versions ?? ['']) {
        const key = `${definition.type}/${version}`;
        const before = seen.get(key);
        if (before) problems.push(`skipped ${file}: ${key} is already ${before}`);
        if (before) return false;
        seen.set(key, file);
      }
      return true;
    })
    .sort((a, b) => (a.definition.type < b.definition.type ? -1 : 1));
}

function sources(folder: string): string[] {
  try {
    return readdirSync(join(adapters, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      .map((entry) => `${folder}/${entry.name}`)
      .sort();
  } catch {
    return [];
  }
}

function manifest(carried: (runtimes: readonly string[]) => boolean, about: string): string {
  const list = (name: string, items: readonly string[] | undefined) => (items?.length ? ` ${name}: [${items.map((item) => `'${item}'`).join(', ')}],` : '');
  const row = ({ file, definition: d }: Found<AnyDefinition>) =>
    `  { type: '${d.type}',${list('aliases', d.aliases)}${list('versions', d.versions)}${d.defaultVersion ? ` defaultVersion: '${d.defaultVersion}',` : ''}${carried(d.runtimes) ? ` load: () => import('./${file}')` : ''} },`.replace(/,( ?\}),$/, '$1,');
  const resolver = ({ file, definition: d }: Found<NameResolverDefinition>) => `  { type: '${d.type}',${list('aliases', d.aliases)}${carried((d as { runtimes?: readonly string[] }).runtimes ?? ['workers']) ? ` load: () => import('./${file}')` : ''} },`;
  return `// ${about} Generated by \`npm run gen\`; do not edit.
import type { Manifest } from '../blocks/components/definition.ts';
import type { NameResolverManifest } from '../blocks/invoke/port.ts';

export const manifest: Manifest = [
${components.map(row).join('\n')}
];

export const nameResolvers: NameResolverManifest = [
${resolvers.map(resolver).join('\n')}
];
`.replace(/\[\n\n\]/g, '[]');
}

function readOr(file: string): string | undefined {
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch {
    return undefined;
  }
}
