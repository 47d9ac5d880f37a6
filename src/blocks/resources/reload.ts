// What has changed between the resources a sidecar runs with and those that lie in its folders now (Dapr: pkg/runtime/hotreload/differ).

/** In the order in which they are to be carried out. */
export interface Changes<R> {
  /** As they were. */
  deleted: R[];
  updated: R[];
  created: R[];
}

interface Comparable {
  name: string;
}

/** By name. `found` is in file order, and so is what comes out of it. */
export function changesOf<R extends Comparable>(known: readonly R[], found: readonly R[]): Changes<R> {
  const before = new Map(known.map((resource) => [resource.name, resource]));
  const now = new Set(found.map((resource) => resource.name));
  const changes: Changes<R> = { deleted: known.filter((resource) => !now.has(resource.name)), updated: [], created: [] };
  for (const resource of found) {
    const old = before.get(resource.name);
    if (old === undefined) changes.created.push(resource);
    else if (!sameResource(old, resource)) changes.updated.push(resource);
  }
  return changes;
}

/** Where it lies and the rest of its object metadata (labels and annotations are not even read) make no difference. */
const ignored = new Set(['source', 'namespace']);

/** Whether two resources mean the same; order of keys is nothing, order of lists is. */
export function sameResource<R extends Comparable>(one: R, other: R): boolean {
  return same(functional(one), functional(other));
}
const functional = (resource: Comparable) => Object.fromEntries(Object.entries(resource).filter(([key]) => !ignored.has(key)));

function same(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = definedKeys(one);
  if (keys.length !== definedKeys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && same((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]));
}
const definedKeys = (value: object) => Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined);

/** The subscriptions of a running sidecar after the changes: what was changed or is new goes behind what was there (Dapr's compstore). */
export function listAfter<R extends Comparable>(known: readonly R[], { deleted, updated, created }: Changes<R>): R[] {
  const moved = new Set([...deleted, ...updated].map((resource) => resource.name));
  return [...known.filter((resource) => !moved.has(resource.name)), ...updated, ...created];
}
