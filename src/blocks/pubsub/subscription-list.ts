// Which subscriptions an app has: declared in YAML, or told by the app when it is asked (dapr/pkg/runtime/compstore/subscriptions.go).
import type { SubscriptionView } from '../metadata/metadata.ts';
import type { RouteRule, SubscriptionResource } from '../resources/kinds.ts';

export interface BulkSubscribe {
  enabled: boolean;
  maxMessagesCount: number;
  maxAwaitDurationMs: number;
}
export interface SubscriptionSpec {
  pubsubName: string;
  topic: string;
  metadata: Record<string, string>;
  /** In order; a match of '' is always true. Empty: every message is acknowledged without delivery. */
  rules: RouteRule[];
  deadLetterTopic: string;
  bulkSubscribe: BulkSubscribe | undefined;
  type: 'DECLARATIVE' | 'PROGRAMMATIC';
}

export interface SubscriptionList {
  /** Replaces what YAML has declared before. */
  setDeclared(resources: readonly SubscriptionResource[]): void;
  /** Replaces what the app has told before. */
  setProgrammatic(specs: readonly SubscriptionSpec[]): void;
  /** One per component and topic: the app's word wins over YAML and takes its place. */
  all(): readonly SubscriptionSpec[];
  /** As the metadata API lists them. */
  view(): SubscriptionView[];
}

/** Only resources in scope; of several with one name the last counts, of several for one topic the first. */
export function createSubscriptionList(resources: readonly SubscriptionResource[]): SubscriptionList {
  let declared = specsOf(resources);
  let told: readonly SubscriptionSpec[] = [];
  const all = () => {
    const list = new Map<string, SubscriptionSpec>();
    for (const spec of declared) if (!list.has(keyOf(spec))) list.set(keyOf(spec), spec);
    for (const spec of told) list.set(keyOf(spec), spec);
    return [...list.values()];
  };
  return { setDeclared: (now) => void (declared = specsOf(now)), setProgrammatic: (specs) => void (told = specs), all, view: () => all().map(viewOf) };
}

function specsOf(resources: readonly SubscriptionResource[]): SubscriptionSpec[] {
  const byName = new Map<string, SubscriptionResource>();
  for (const resource of resources) {
    byName.delete(resource.name);
    byName.set(resource.name, resource);
  }
  return [...byName.values()].map(fromResource);
}

const keyOf = ({ pubsubName, topic }: SubscriptionSpec) => JSON.stringify([pubsubName, topic]);

const fromResource = ({ pubsubName, topic, metadata, rules, deadLetterTopic, bulkSubscribe }: SubscriptionResource): SubscriptionSpec => ({
  pubsubName, topic, metadata, deadLetterTopic, type: 'DECLARATIVE',
  rules: rules.map(({ match, path }) => ({ match: match.trim(), path })),
  bulkSubscribe: bulkSubscribe && { enabled: bulkSubscribe.enabled, maxMessagesCount: bulkSubscribe.maxMessagesCount ?? 0, maxAwaitDurationMs: bulkSubscribe.maxAwaitDurationMs ?? 0 },
});

const viewOf = ({ pubsubName, topic, metadata, rules, deadLetterTopic, type }: SubscriptionSpec): SubscriptionView => ({
  pubsubname: pubsubName,
  topic,
  metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
  rules: rules.length > 0 ? rules.map(({ match, path }) => ({ match: match || undefined, path: path || undefined })) : undefined,
  deadLetterTopic,
  type,
});
