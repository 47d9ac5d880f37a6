// Finds what was bound for a path without hashing it: the few paths that were asked for last are compared first.

const kept = 4;

/** `labelOf` is asked on a miss. `sharesBelow`: the keys of a store, which all get its label, count as one path. */
export function latest<T>(bind: (label: string) => T, labelOf: (path: string) => string, sharesBelow: boolean): (path: string) => T {
  const last: { path: string; isPrefix: boolean; value: T }[] = [];
  let next = 0;
  return (path) => {
    for (let i = 0; i < last.length; i++) {
      const one = last[i] as (typeof last)[number];
      if (one.isPrefix ? path.startsWith(one.path) : path === one.path) return one.value;
    }
    const label = labelOf(path);
    const value = bind(label);
    const isPrefix = sharesBelow && keyed.test(label) && path.startsWith(`${label}/`);
    last[next] = isPrefix ? { path: `${label}/`, isPrefix, value } : { path, isPrefix, value };
    next = (next + 1) % kept;
    return value;
  };
}

/** The label of a store. */
const keyed = /^\/[^/]+\/(?:state|secrets)\/[^/%]+$/;
