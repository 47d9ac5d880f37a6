// What each kind of Dapr resource looks like in YAML, and what the sidecar makes of it.
import * as z from 'zod';
import { parseDuration } from '../../core/duration.ts';
import type { ComponentResource, HttpEndpointResource, ListedResource, MetadataItem, ResiliencyResource, Source, SubscriptionResource } from './kinds.ts';
import { any, anyMap, flag, list, map, object, text, whole } from './shape.ts';

const meta = object({ name: text(), namespace: text(), labels: map(text()), annotations: map(text()) });
const scopes = list(text());
const auth = object({ secretStore: text() });
const secretKeyRef = object({ name: text(), key: text() });
const item = object({ name: text(), value: any(), secretKeyRef, envRef: text() });
const tlsItem = object({ value: any(), secretKeyRef }).optional();

const metadataItem = (read: z.output<typeof item>): MetadataItem => ({
  name: read.name,
  ...(read.value === undefined ? {} : { value: read.value }),
  ...(read.secretKeyRef.name ? { secretKeyRef: read.secretKeyRef } : {}),
  ...(read.envRef ? { envRef: read.envRef } : {}),
});

/** Head of any document: decides whether and as what it is read. */
export const head = object({ apiVersion: text(), kind: text(), metadata: meta });

/** Milliseconds of `spec.initTimeout`: what Go cannot parse (nothing included) means five seconds, zero and less mean at once. */
const initTimeoutOf = (duration: string) => parseDuration(duration) ?? 5000;

// Each is built when the first document of its kind comes: to build all of them is a fifth of the start.
const component = z.lazy(() => object({ metadata: meta, spec: object({ type: text(), version: text(), initTimeout: text(), ignoreErrors: flag(), metadata: list(item) }), auth, scopes }));
const httpEndpoint = z.lazy(() => object({
  metadata: meta,
  spec: object({ baseUrl: text(), headers: list(item), clientTLS: object({ rootCA: tlsItem, certificate: tlsItem, privateKey: tlsItem, renegotiation: text() }) }),
  auth,
  scopes,
}));
const bulkSubscribe = () => object({ enabled: flag(), maxMessagesCount: whole(), maxAwaitDurationMs: whole() });
const subscriptionFields = () => ({ pubsubname: text(), topic: text(), metadata: map(text()), deadLetterTopic: text(), bulkSubscribe: bulkSubscribe() });
const subscriptionV1 = z.lazy(() => object({ metadata: meta, spec: object({ ...subscriptionFields(), route: text() }), scopes }));
const subscriptionV2 = z.lazy(() => object({ metadata: meta, spec: object({ ...subscriptionFields(), routes: object({ rules: list(object({ match: text(), path: text() })), default: text() }) }), scopes }));

const policies = () => object({
  timeouts: map(text()),
  retries: map(object({ policy: text(), duration: text(), maxInterval: text(), maxRetries: whole(), matching: object({ httpStatusCodes: text(), gRPCStatusCodes: text() }) })),
  circuitBreakers: map(object({ maxRequests: whole(), interval: text(), timeout: text(), trip: text() })),
});
const policyNames = () => ({ timeout: text(), retry: text(), circuitBreaker: text() });
const targets = () => object({
  apps: map(object({ ...policyNames(), circuitBreakerCacheSize: whole() })),
  actors: map(object({ ...policyNames(), circuitBreakerScope: text(), circuitBreakerCacheSize: whole() })),
  components: map(object({ inbound: object(policyNames()), outbound: object(policyNames()) })),
});
const resiliency = z.lazy(() => object({ metadata: meta, spec: object({ policies: policies(), targets: targets() }), scopes }));

const listed = z.lazy(() => object({ metadata: meta, spec: anyMap(), scopes }));

/** Each parse throws ZodError. `name` is checked by the loader. */
export function readComponent(document: unknown, source: Source): ComponentResource {
  const { metadata, spec, auth, scopes } = component.parse(document);
  return {
    name: metadata.name, namespace: metadata.namespace, scopes, source,
    type: spec.type, version: spec.version, metadata: spec.metadata.map(metadataItem),
    initTimeoutMs: initTimeoutOf(spec.initTimeout), ignoreErrors: spec.ignoreErrors, secretStore: auth.secretStore,
  };
}

export function readHttpEndpoint(document: unknown, source: Source): HttpEndpointResource {
  const { metadata, spec, auth, scopes } = httpEndpoint.parse(document);
  const { rootCA, certificate, privateKey } = spec.clientTLS;
  const tls = (name: string, read: z.output<typeof tlsItem>): MetadataItem | undefined => (read ? metadataItem({ name, envRef: '', ...read }) : undefined);
  const clientTls = { rootCA: tls('rootCA', rootCA), certificate: tls('certificate', certificate), privateKey: tls('privateKey', privateKey) };
  return {
    name: metadata.name, namespace: metadata.namespace, scopes, source,
    baseUrl: spec.baseUrl, headers: spec.headers.map(metadataItem), secretStore: auth.secretStore,
    clientTls: Object.fromEntries(Object.entries(clientTls).filter(([, read]) => read !== undefined)),
  };
}

export function readSubscription(document: unknown, version: 'v1alpha1' | 'v2alpha1', source: Source): SubscriptionResource {
  const { metadata, spec, scopes, rules } = version === 'v1alpha1' ? readV1(document) : readV2(document);
  return {
    name: metadata.name, namespace: metadata.namespace, scopes, source,
    pubsubName: spec.pubsubname, topic: spec.topic, rules, metadata: spec.metadata, deadLetterTopic: spec.deadLetterTopic,
    ...(spec.bulkSubscribe.enabled ? { bulkSubscribe: withoutUndefined(spec.bulkSubscribe) } : {}),
  };
}
const toDefault = (path: string) => (path ? [{ match: '', path }] : []);
const readV1 = (document: unknown) => {
  const read = subscriptionV1.parse(document);
  return { ...read, rules: toDefault(read.spec.route) };
};
const readV2 = (document: unknown) => {
  const read = subscriptionV2.parse(document);
  return { ...read, rules: [...read.spec.routes.rules, ...toDefault(read.spec.routes.default)] };
};
const withoutUndefined = <T extends object>(value: T): T => Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;

export function readResiliency(document: unknown, source: Source): ResiliencyResource {
  const { metadata, spec, scopes } = resiliency.parse(document);
  return { name: metadata.name, namespace: metadata.namespace, scopes, source, spec };
}

/** Kinds of which the sidecar keeps the whole spec. */
export function readListed(document: unknown, source: Source): ListedResource {
  const { metadata, spec, scopes } = listed.parse(document);
  return { name: metadata.name, namespace: metadata.namespace, scopes, source, spec };
}
