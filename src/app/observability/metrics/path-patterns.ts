// spec.metrics.http.pathMatching: patterns of Go's ServeMux that paths are counted under (dapr/pkg/diagnostics/http_monitoring_path_matching.go).
import { textOf } from '../../../core/errors.ts';

/** The pattern a path falls under, undefined for none. Paths are decoded. */
export type PathPatterns = (path: string) => string | undefined;

interface Node {
  literals: Map<string, Node>;
  single: Node | undefined;
  /** Ends here: `{$}`, a plain end, everything below (a final slash or `{name...}`). */
  exactSlash: string | undefined;
  end: string | undefined;
  below: string | undefined;
}
const node = (): Node => ({ literals: new Map(), single: undefined, exactSlash: undefined, end: undefined, below: undefined });

/** Each pattern also counts for calls of apps, `/v1.0/invoke/{app_id}/method<pattern>`. What is no pattern is left out, and told of. */
export function createPathPatterns(patterns: readonly string[], onBad: (message: string) => void): PathPatterns {
  const root = node();
  for (const given of patterns) {
    const pattern = mergeSlashes(given);
    try {
      add(root, pattern);
      if (!pattern.startsWith('/v1.0/invoke/')) add(root, `/v1.0/invoke/{app_id}/method${pattern}`);
    } catch (error) {
      onBad(`spec.metrics.http.pathMatching: the pattern ${given} is left out: ${textOf(error)}`);
    }
  }
  return (path) => {
    const segments = mergeSlashes(path).slice(1).split('/');
    return find(root, segments, 0);
  };
}

/** Repeated slashes count once, and there is one in front. */
export function mergeSlashes(path: string): string {
  const merged = path.includes('//') ? path.replace(/\/{2,}/g, '/') : path;
  return merged.startsWith('/') ? merged : `/${merged}`;
}

function add(root: Node, pattern: string): void {
  if (/\s/.test(pattern)) throw new Error('a pattern has no blanks');
  let at = root;
  const segments = pattern.slice(1).split('/');
  const names = new Set<string>();
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    if (segment === '' && isLast) {
      at.below ??= pattern;
      return;
    }
    if (segment === '{$}' && isLast) {
      at.exactSlash ??= pattern;
      return;
    }
    if (!/[{}]/.test(segment)) {
      let next = at.literals.get(segment);
      if (next === undefined) at.literals.set(segment, (next = node()));
      at = next;
      continue;
    }
    const [, name, dots] = /^\{([\p{L}_][\p{L}\p{Nd}_]*)(\.\.\.)?\}$/u.exec(segment) ?? [];
    if (name === undefined) throw new Error(`bad wildcard segment ${segment}`);
    if (names.has(name)) throw new Error(`duplicate wildcard name ${name}`);
    names.add(name);
    if (dots !== undefined) {
      if (!isLast) throw new Error('a wildcard with ... comes last');
      at.below ??= pattern;
      return;
    }
    at.single ??= node();
    at = at.single;
  }
  at.end ??= pattern;
}

/** Literals before wildcards, those before what covers everything below; as in Go, the more specific pattern wins. */
function find(at: Node, segments: readonly string[], i: number): string | undefined {
  if (i === segments.length) return at.end ?? at.exactSlash ?? at.below; // `/tree` falls under `/tree/`, which Go would redirect it to
  const segment = segments[i] as string;
  if (segment === '' && i === segments.length - 1) return at.exactSlash ?? at.below;
  const literal = at.literals.get(segment);
  return (literal && find(literal, segments, i + 1)) ?? (at.single && segment !== '' ? find(at.single, segments, i + 1) : undefined) ?? at.below;
}
