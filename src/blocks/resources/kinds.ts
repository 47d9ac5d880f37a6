// The resource kinds of Dapr's YAML, as the rest of the sidecar sees them once read and checked.

/** Where a resource came from, for messages. */
export interface Source {
  file: string;
  /** Number of the document in its file, from 1. */
  document: number;
}

/** One item of `spec.metadata` (and of HTTPEndpoint headers). Exactly one of the three is used; see blocks/resources/values.ts. */
export interface MetadataItem {
  name: string;
  /** Scalar, list or object as in the YAML; undefined when absent. */
  value?: unknown;
  secretKeyRef?: { name: string; key: string };
  envRef?: string;
}

interface Resource {
  name: string;
  namespace: string;
  scopes: string[];
  source: Source;
}

export interface ComponentResource extends Resource {
  /** `spec.type`, as written. */
  type: string;
  /** `spec.version`, '' when absent. */
  version: string;
  metadata: MetadataItem[];
  /** Milliseconds; default 5000. */
  initTimeoutMs: number;
  ignoreErrors: boolean;
  /** `auth.secretStore`, '' when absent. */
  secretStore: string;
}

export interface HttpEndpointResource extends Resource {
  baseUrl: string;
  headers: MetadataItem[];
  clientTls: { rootCA?: MetadataItem; certificate?: MetadataItem; privateKey?: MetadataItem };
  secretStore: string;
}

/** CEL expression ('' = always) and the path events go to. */
export interface RouteRule {
  match: string;
  path: string;
}
export interface SubscriptionResource extends Resource {
  pubsubName: string;
  topic: string;
  /** In order; the default route comes last with match ''. Empty: acknowledged without delivery. */
  rules: RouteRule[];
  metadata: Record<string, string>;
  deadLetterTopic: string;
  bulkSubscribe?: { enabled: boolean; maxMessagesCount?: number; maxAwaitDurationMs?: number };
}

/** Names of the policies of one target, '' for none. */
export interface PolicyNames {
  timeout: string;
  retry: string;
  circuitBreaker: string;
}
/** As written, '' or undefined where absent; blocks/resiliency reads the texts. */
export interface RetrySpec {
  policy: string;
  duration: string;
  maxInterval: string;
  maxRetries?: number | undefined;
  matching: { httpStatusCodes: string; gRPCStatusCodes: string };
}
export interface CircuitBreakerSpec {
  maxRequests?: number | undefined;
  interval: string;
  timeout: string;
  trip: string;
}
export interface ResiliencyResource extends Resource {
  spec: {
    policies: { timeouts: Record<string, string>; retries: Record<string, RetrySpec>; circuitBreakers: Record<string, CircuitBreakerSpec> };
    targets: {
      apps: Record<string, PolicyNames & { circuitBreakerCacheSize?: number | undefined }>;
      actors: Record<string, PolicyNames & { circuitBreakerScope: string; circuitBreakerCacheSize?: number | undefined }>;
      components: Record<string, { inbound: PolicyNames; outbound: PolicyNames }>;
    };
  };
}

/** Read and listed; what they do comes with MCP and workflow access. */
export interface ListedResource extends Resource {
  spec: Record<string, unknown>;
}

export interface ResourceSet {
  components: ComponentResource[];
  httpEndpoints: HttpEndpointResource[];
  subscriptions: SubscriptionResource[];
  resiliencies: ResiliencyResource[];
  mcpServers: ListedResource[];
  workflowAccessPolicies: ListedResource[];
  /** Configuration documents among the resources: not used, but a change of one restarts the sidecar. */
  configurations: ListedResource[];
}
export const noResources = (): ResourceSet => ({ components: [], httpEndpoints: [], subscriptions: [], resiliencies: [], mcpServers: [], workflowAccessPolicies: [], configurations: [] });

export interface SecretScope {
  storeName: string;
  /** 'allow' or 'deny'. */
  defaultAccess: 'allow' | 'deny';
  allowedSecrets: string[];
  deniedSecrets: string[];
}
export interface ApiRule {
  name: string;
  version: string;
  protocol: string;
}
/** `spec.httpPipeline.handlers[]`; version defaults to v1. */
export interface PipelineHandler {
  name: string;
  type: string;
  version: string;
}
export interface OtelSpec {
  protocol: string;
  endpointAddress: string;
  isSecure: boolean;
  /** `name=value`. */
  headers: string[];
  timeoutMs?: number;
}
export interface MetricsSpec {
  enabled: boolean;
  recordErrorCodes: boolean;
  http: { increasedCardinality?: boolean; pathMatching: string[]; excludeVerbs: boolean };
  /** Milliseconds; empty = Dapr's own buckets. */
  latencyDistributionBuckets: number[];
  /** Labels whose values matching an expression are replaced by the expression's name. */
  rules: { name: string; labels: { name: string; regex: Record<string, string> }[] }[];
}
export interface AccessControlSpec {
  defaultAction: string;
  trustDomain: string;
  policies: { appId: string; defaultAction: string; trustDomain: string; namespace: string; operations: { name: string; httpVerb: string[]; action: string }[] }[];
}
/** `spec.workflow`; a limit that is absent or not above 0 is none. */
export interface WorkflowSpec {
  maxConcurrentWorkflowInvocations?: number;
  maxConcurrentActivityInvocations?: number;
  globalMaxConcurrentWorkflowInvocations?: number;
  globalMaxConcurrentActivityInvocations?: number;
  workflowConcurrencyLimits: { name: string; maxConcurrent: number }[];
  activityConcurrencyLimits: { name: string; maxConcurrent: number }[];
  /** Milliseconds. */
  stateRetentionPolicy?: { anyTerminal?: number; completed?: number; failed?: number; terminated?: number };
}
/** Kind Configuration, all `--config` files merged onto the defaults. Source: dapr/pkg/config/configuration.go. */
export interface Configuration {
  tracing: { samplingRate: string; stdout: boolean; zipkin?: { endpointAddress: string }; otel?: OtelSpec };
  metrics: MetricsSpec;
  httpPipeline: PipelineHandler[];
  appHttpPipeline: PipelineHandler[];
  nameResolution: { component: string; version: string; configuration: Record<string, unknown> } | undefined;
  secrets: { scopes: SecretScope[] };
  /** Denied component types, `type` or `type/version`. */
  componentsDeny: string[];
  /** undefined: nothing configured, every call is allowed. */
  accessControl: AccessControlSpec | undefined;
  api: { allowed: ApiRule[]; denied: ApiRule[] };
  features: { name: string; enabled: boolean }[];
  logging: { apiLogging: { enabled: boolean; obfuscateURLs: boolean; omitHealthChecks: boolean } };
  /** WASM components always run in strict mode. */
  wasmStrictSandbox: boolean;
  workflow: WorkflowSpec;
}
export const defaultConfiguration = (): Configuration => ({
  tracing: { samplingRate: '', stdout: false },
  metrics: { enabled: true, recordErrorCodes: false, http: { pathMatching: [], excludeVerbs: false }, latencyDistributionBuckets: [], rules: [] },
  httpPipeline: [],
  appHttpPipeline: [],
  nameResolution: undefined,
  secrets: { scopes: [] },
  componentsDeny: [],
  accessControl: undefined,
  api: { allowed: [], denied: [] },
  features: [],
  logging: { apiLogging: { enabled: false, obfuscateURLs: false, omitHealthChecks: false } },
  wasmStrictSandbox: false,
  workflow: { workflowConcurrencyLimits: [], activityConcurrencyLimits: [] },
});
