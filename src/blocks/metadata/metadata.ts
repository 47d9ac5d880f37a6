// What the sidecar says about itself (Dapr: pkg/api/universal/metadata.go). Absent fields are left out by JSON.
import { worksAs } from '../bindings/direction.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';

export interface SubscriptionView {
  pubsubname: string;
  topic: string;
  metadata?: Record<string, string> | undefined;
  rules?: { match?: string | undefined; path?: string | undefined }[] | undefined;
  deadLetterTopic: string;
  type: 'DECLARATIVE' | 'PROGRAMMATIC' | 'STREAMING' | 'UNKNOWN';
}
export interface MetadataView {
  id: string | undefined;
  runtimeVersion: string;
  enabledFeatures: string[] | undefined;
  actors?: { type: string; count?: number }[] | undefined;
  components: { name: string; type: string; version?: string | undefined; capabilities?: string[] | undefined }[] | undefined;
  extended: Record<string, string>;
  subscriptions: SubscriptionView[] | undefined;
  httpEndpoints: { name: string }[] | undefined;
  appConnectionProperties: {
    port?: number | undefined;
    protocol?: string | undefined;
    channelAddress?: string | undefined;
    maxConcurrency?: number | undefined;
    health?: { healthCheckPath?: string | undefined; healthProbeInterval: string; healthProbeTimeout: string; healthThreshold: number } | undefined;
  };
  actorRuntime: { runtimeStatus: string; hostReady: boolean; placement?: string };
  mcpServers: { name: string }[] | undefined;
  workflowAccessPolicies: { name: string }[] | undefined;
  resiliencies: { name: string }[] | undefined;
}

export interface MetadataBlock {
  view(): MetadataView;
  /** Attributes set with PUT; the runtime's version cannot be overwritten. */
  set(key: string, value: string): void;
}

export interface MetadataSources {
  appId: string;
  version: string;
  enabledFeatures: readonly string[];
  components: ComponentStore;
  subscriptions(): SubscriptionView[];
  httpEndpoints: readonly string[];
  resiliencies: readonly string[];
  mcpServers: readonly string[];
  workflowAccessPolicies: readonly string[];
  appConnection: MetadataView['appConnectionProperties'];
  /** False until the app was found (or there is none to wait for). */
  initialized(): boolean;
}

const named = (names: readonly string[]) => (names.length ? names.map((name) => ({ name })) : undefined);
const some = <T>(items: T[]) => (items.length ? items : undefined);

/** ACTOR is added where a state store can keep actors; a binding can do what its `direction` leaves of what its type can. */
const capabilitiesOf = (component: Loaded): string[] => {
  if (component.block === 'bindings') return component.features.filter((feature) => worksAs(feature === 'INPUT_BINDING' ? 'input' : 'output', component.properties));
  const list = [...component.features];
  if (component.block === 'state' && list.includes('ETAG') && list.includes('TRANSACTIONAL')) list.push('ACTOR');
  return list;
};

export function createMetadataBlock(sources: MetadataSources): MetadataBlock {
  const attributes = new Map<string, string>();
  return {
    set: (key, value) => void attributes.set(key, value),
    view: () => {
      // Secret stores come first, the others in load order.
      const all = sources.components.all();
      const ordered = [...all.filter((c) => c.block === 'secretstores'), ...all.filter((c) => c.block !== 'secretstores')];
      return {
        id: sources.appId || undefined,
        runtimeVersion: sources.version,
        enabledFeatures: some([...sources.enabledFeatures]),
        components: some(ordered.map((c) => ({ name: c.name, type: c.type, version: c.version || undefined, capabilities: some(capabilitiesOf(c)) }))),
        extended: { ...Object.fromEntries(attributes), daprRuntimeVersion: sources.version },
        subscriptions: some(sources.subscriptions()),
        httpEndpoints: named(sources.httpEndpoints),
        appConnectionProperties: sources.appConnection,
        actorRuntime: sources.initialized() ? { runtimeStatus: 'DISABLED', hostReady: false, placement: 'placement: disconnected' } : { runtimeStatus: 'INITIALIZING', hostReady: false },
        mcpServers: named(sources.mcpServers),
        workflowAccessPolicies: named(sources.workflowAccessPolicies),
        resiliencies: named(sources.resiliencies),
      };
    },
  };
}
