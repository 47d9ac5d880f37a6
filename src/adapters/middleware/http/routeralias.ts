// middleware.http.routeralias: paths that stand for other paths, with `{variables}` in them (Dapr uses gorilla/mux for these).
import { textOf } from '../../../core/errors.ts';
import { type MetadataSchema, type Properties, property, schema, field } from '../../../core/metadata.ts';
import type { Logger } from '../../../core/log.ts';
import { defineHttpMiddleware } from '../../../blocks/middleware/port.ts';
import { goRegExp, type GoRegExp } from '../go-regexp.ts';
import { encodeQuery, escapePath, parseQuery, urlOf } from '../url.ts';

interface Alias {
  path: GoRegExp;
  /** Names of the groups, in order. */
  variables: string[];
  becomes: string;
}

/** Without `routes` every property is a route, so names that differ in case are two. */
const metadata: MetadataSchema<{ routes?: string | undefined }> = {
  ...schema({ routes: field.text().optional().describe('JSON or YAML object: path to match, with variables like `{id}` or `{id:[0-9]+}`, and the path that takes its place. Variables become query parameters') }),
  parse: (properties) => ({ routes: property(properties, 'routes') }),
};

export default defineHttpMiddleware({
  type: 'middleware.http.routeralias',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Replaces paths by other paths. On the API this leads to service invocation only; other APIs are found by the path as it came.',
  metadata,
  open: async ({ routes }, { properties, log }) => {
    const aliases = await Promise.all(Object.entries(await routesOf(routes, properties, log)).map(([path, becomes]) => aliasOf(path, becomes, log)));
    return {
      handle: async (request, next) => {
        const { path, query } = urlOf(request.target);
        for (const alias of aliases) {
          const groups = alias?.path.groups(path);
          if (alias === undefined || groups === undefined) continue;
          const values = Object.fromEntries(alias.variables.map((name, i) => [name, groups[i + 1] ?? '']));
          const changed = alias.variables.length === 0 ? query : encodeQuery([...parseQuery(query), ...Object.entries(values)]);
          return next({ ...request, target: `${escapePath(alias.becomes)}${changed === '' ? '' : `?${changed}`}` });
        }
        return next(request);
      },
      close: async () => undefined,
    };
  },
});

async function routesOf(routes: string | undefined, properties: Properties, log: Logger): Promise<Record<string, string>> {
  const names = Object.keys(properties);
  if (names.length === 0) return {};
  if (names.length > 1 || !routes) {
    log.warn("Listing routes as key-value pairs is deprecated. Please use the 'routes' property instead. See: https://docs.dapr.io/reference/components-reference/supported-middleware/middleware-routeralias/");
    if (names.some((name) => name === '' || properties[name] === '')) throw new Error('invalid key/value pair in metadata: must not be empty');
    return properties;
  }
  try {
    const { parse } = await import('yaml');
    const read: unknown = parse(routes);
    if (read === null) return {};
    if (typeof read !== 'object' || Array.isArray(read)) throw new Error('it is no object');
    return Object.fromEntries(Object.entries(read).map(([path, becomes]) => {
      if (typeof becomes === 'object' && becomes !== null) throw new Error(`what ${path} becomes is no text`);
      return [path, becomes === null ? '' : String(becomes)];
    }));
  } catch (error) {
    throw new Error(`failed to decode 'routes' property as JSON or YAML: ${textOf(error)}`, { cause: error });
  }
}

/** undefined for a pattern that can never match; upstream says nothing of such routes. */
async function aliasOf(template: string, becomes: string, log: Logger): Promise<Alias | undefined> {
  const useless = (why: string): undefined => log.warn(`route ${JSON.stringify(template)} is never used: ${why}`) as undefined;
  if (template !== '' && !template.startsWith('/')) return useless('a path must start with a slash');
  const parts = partsOf(template);
  if (parts === undefined) return useless('unbalanced braces');
  let pattern = '';
  const variables: string[] = [];
  for (const part of parts) {
    if (typeof part === 'string') { pattern += quoted(part); continue; }
    const colon = part.text.indexOf(':');
    const [name, expression] = colon < 0 ? [part.text, '[^/]+'] : [part.text.slice(0, colon), part.text.slice(colon + 1)];
    if (name === '' || expression === '') return useless('a variable needs a name and a pattern');
    if (variables.includes(name)) return useless(`the variable ${name} is there twice`);
    variables.push(name);
    pattern += `(?P<v${variables.length - 1}>${expression})`;
  }
  let path: GoRegExp;
  try {
    path = await goRegExp(`^${pattern}$`);
  } catch (error) {
    return useless(textOf(error));
  }
  if (path.groupCount !== variables.length) throw new Error(`route ${template} contains capture groups in its regexp. Only non-capturing groups are accepted: e.g. (?:pattern) instead of (pattern)`);
  return { path, variables, becomes };
}

/** Plain text and what stands in braces, which may hold braces of its own. */
function partsOf(template: string): (string | { text: string })[] | undefined {
  const parts: (string | { text: string })[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < template.length; i++) {
    if (template[i] === '{' && depth++ === 0) {
      parts.push(template.slice(start, i));
      start = i + 1;
    } else if (template[i] === '}' && --depth === 0) {
      parts.push({ text: template.slice(start, i) });
      start = i + 1;
    }
    if (depth < 0) return undefined;
  }
  return depth === 0 ? [...parts, template.slice(start)] : undefined;
}
const quoted = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
