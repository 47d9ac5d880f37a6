// Which routes a Configuration switches off: `spec.api.allowed` and `spec.api.denied` (Dapr: pkg/api/http/endpoints/endpoint.go).
import type { ApiRule } from '../../blocks/resources/kinds.ts';
import type { Route } from './call.ts';

type Ruled = Pick<Route, 'group' | 'path'>;

/** What rules look at for invocation, which is not a route but the fallback of all others. */
export const invokeRoute: Ruled = { group: 'invoke/v1', path: 'v1.0/invoke/:appId{.+}' };

/**
 * The test each route has to pass. Only rules with protocol `http` count; a denial beats an allowance; without allowances everything else is allowed.
 * A rule `<version>/<name>` means the routes of that group (`v1/state`), or those whose path begins with it (`v1.0/state`, `v1.0/publish/bulk`).
 */
export function createApiRules({ allowed, denied }: { allowed: readonly ApiRule[]; denied: readonly ApiRule[] }): (route: Ruled) => boolean {
  const [allow, deny] = [allowed, denied].map((rules) => rules.filter((rule) => rule.protocol.toLowerCase() === 'http').map((rule) => `${rule.version}/${rule.name}`)) as [string[], string[]];
  return (route) => {
    if (route.group === '') return true; // health
    const [name, version] = route.group.split('/');
    const group = `${version}/${name}`;
    const template = templateOf(route.path);
    const matches = (rules: string[]) => rules.some((rule) => rule === group || template.startsWith(rule));
    return !matches(deny) && (allow.length === 0 || matches(allow));
  };
}

/** The path as Dapr writes it in its routes: `v1.0/state/{storeName}/{key}`, `*` for all the rest. */
const templateOf = (path: string) => path.replace(/:\w+\{\.\+\}/g, '*').replace(/:(\w+)/g, '{$1}');
