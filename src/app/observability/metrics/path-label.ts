// The label `path` of HTTP series: keys and ids taken out of the paths of Dapr's API, so that there are few of them (dapr/pkg/diagnostics/http_monitoring*.go).
import type { MetricsSpec } from '../../../blocks/resources/kinds.ts';
import { bound } from '../../../core/meter.ts';
import { createPathPatterns, mergeSlashes } from './path-patterns.ts';

export interface PathLabels {
  /** Every path below `/v1.0/state/store` and the like has that label. */
  readonly reduces: boolean;
  /** Paths of calls to this sidecar's API, decoded. */
  server(path: string): string;
  /** Paths of requests to the app, decoded. */
  client(path: string): string;
}

const staticPaths = new Set(['/dapr/config', '/dapr/metrics', '/dapr/subscribe', '/healthz']);

export function createPathLabels({ increasedCardinality = true, pathMatching }: MetricsSpec['http'], onBad: (message: string) => void): PathLabels {
  if (pathMatching.length === 0) {
    if (increasedCardinality) return { reduces: true, server: reducedPath, client: reducedPath };
    return { reduces: false, server: () => '', client: (path) => (staticPaths.has(path) ? path : '') };
  }
  const matching = createPathPatterns(pathMatching, onBad);
  const label = (path: string): string => {
    if (staticPaths.has(path)) return path;
    const pattern = matching(path);
    if (pattern !== undefined) return pattern;
    const reduced = reducedPath(path);
    const again = reduced === path ? undefined : matching(reduced);
    if (again !== undefined && again !== '/') return again;
    return increasedCardinality ? reduced : '';
  };
  const known = bound(label);
  return { reduces: false, server: known, client: known };
}

/**
 * `/v1.0/state/store/key` → `/v1.0/state/store`, `/v1.0/actors/type/id/method/m` → `/v1.0/actors/type/{id}/method`, and the like for secrets and workflows.
 * Everything else, invocations too, stays whole.
 */
export function reducedPath(given: string): string {
  if (given === '') return given;
  const path = mergeSlashes(given);
  const first = path.indexOf('/', 1);
  if (first < 0) return path;
  if (path.startsWith('actors/', 1)) return reducedCallback(path);
  switch (path.charCodeAt(first + 1)) {
    case 0x73: // s
      return path.startsWith('state/', first + 1) || path.startsWith('secrets/', first + 1) ? upTo(path, 3) : path;
    case 0x61: // a
      return path.startsWith('actors/', first + 1) ? reducedActors(path) : path;
    case 0x77: // w
      return path.startsWith('workflows/', first + 1) ? reducedWorkflows(path) : path;
    default: return path;
  }
}

/** The first so many segments. */
function upTo(path: string, segments: number): string {
  let end = 0;
  for (let i = 0; i < segments; i++) {
    end = path.indexOf('/', end + 1);
    if (end < 0) return path;
  }
  return path.slice(0, end);
}

/** What the app is called by for its actors, `actors/type/id/…`; without a slash in front, as in daprd. */
function reducedCallback(path: string): string {
  const parts = splitMost(path);
  if (parts.length < 3) return path;
  parts[2] = '{id}';
  return parts.join('/');
}

function reducedActors(path: string): string {
  const parts = splitMost(path);
  if (parts.length < 5) return path;
  parts[3] = '{id}';
  return `/${parts.slice(0, 5).join('/')}`;
}

function reducedWorkflows(path: string): string {
  const parts = splitMost(path);
  if (parts.length < 4) return path;
  if (parts.length === 5 && (parts[4] as string).startsWith('start')) return `/${parts.slice(0, 4).join('/')}/start`;
  parts[3] = '{instanceId}';
  if (parts.length === 6 && parts[4] === 'raiseEvent' && parts[5] !== '') {
    parts[5] = '{eventName}';
    return `/${parts.join('/')}`;
  }
  return `/${parts.slice(0, 5).join('/')}`;
}

/** At most six segments; the last holds the rest. */
function splitMost(path: string): string[] {
  const parts = path.slice(1).split('/');
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join('/')];
}
