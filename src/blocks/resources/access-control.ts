// Section `accessControl` of a Configuration: what every policy must name (Dapr: pkg/acl/acl.go).
import { ConfigurationError } from './configuration-error.ts';
import type { AccessControlSpec } from './kinds.ts';

/** Throws ConfigurationError naming every app whose policy lacks its trust domain or namespace, and whether one lacks its app id. */
export function checkAccessControl(spec: AccessControlSpec | undefined): void {
  const policies = spec?.policies ?? [];
  const apps = (lacking: (policy: AccessControlSpec['policies'][number]) => boolean) => `[${policies.filter(lacking).map((policy) => policy.appId).join(' ')}]`;
  const nameless = policies.some((policy) => policy.appId === '');
  if (!nameless && policies.every((policy) => policy.trustDomain !== '' && policy.namespace !== '')) return;
  throw new ConfigurationError(
    `invalid access control spec. missing trustdomain for apps: ${apps((p) => p.trustDomain === '')}, missing namespace for apps: ${apps((p) => p.namespace === '')}, missing app name on at least one of the app policies: ${nameless}`,
  );
}
