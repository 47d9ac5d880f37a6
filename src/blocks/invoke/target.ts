// Whom a call is for: a URL, an HTTPEndpoint, or an app with its namespace.

export type Target =
  /** `url` without a slash at the end is what the method is appended to. */
  | { kind: 'url'; url: string }
  | { kind: 'endpoint'; name: string }
  | { kind: 'app'; appId: string; namespace: string };

/** Tested in Dapr's order; undefined: more than one dot. Source: dapr/pkg/messaging/direct_messaging.go requestAppIDAndNamespace. */
export function targetOf(id: string, ownNamespace: string, isEndpoint: (name: string) => boolean): Target | undefined {
  if (id.startsWith('http://') || id.startsWith('https://')) return { kind: 'url', url: id };
  const dot = id.indexOf('.');
  // An HTTPEndpoint whose name has a dot cannot be reached: the id is split before names are compared.
  if (dot < 0) return isEndpoint(id) ? { kind: 'endpoint', name: id } : { kind: 'app', appId: id, namespace: ownNamespace };
  if (id.includes('.', dot + 1)) return undefined;
  const appId = id.slice(0, dot);
  return isEndpoint(appId) ? { kind: 'endpoint', name: appId } : { kind: 'app', appId, namespace: id.slice(dot + 1) };
}
