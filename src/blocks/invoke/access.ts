// Access control of the called side: who may call this sidecar's app (Dapr: pkg/acl/acl.go).
import type { AccessControlSpec } from '../resources/kinds.ts';

/** Decides on one call, by its normalised method without leading slash: undefined lets it through, a text refuses it. */
export type AccessControl = (method: string, verb: string) => string | undefined;

/**
 * Rules of `spec.accessControl`; without the section everything is allowed. A policy speaks of the identity that a caller proves by its certificate (mTLS).
 * No caller has one here yet, so the global default decides on every call, as in daprd with mTLS off; the app id that a caller says of itself proves nothing.
 */
export function createAccessControl(spec: AccessControlSpec | undefined): AccessControl | undefined {
  if (spec === undefined || spec.defaultAction.toLowerCase() === 'allow') return undefined;
  // Two blanks: where the caller's identity would stand.
  return (method, verb) => `access control policy has denied access to id:  operation: ${method} verb: ${verb}`;
}
