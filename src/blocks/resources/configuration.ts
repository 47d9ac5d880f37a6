// Kind Configuration from the files of `--config`, merged in order onto the defaults (Dapr: pkg/config/configuration.go).
import * as z from 'zod';
import type { FilesPort } from '../../core/host.ts';
import { checkAccessControl } from './access-control.ts';
import { ConfigurationError } from './configuration-error.ts';
import { decodeText } from './directories.ts';
import { type Configuration, defaultConfiguration, type MetricsSpec, type SecretScope } from './kinds.ts';
import { duration, expandEnvironment, flag, list, looseMap, map, mergeTrees, object, optionalFlag, optionalWhole, parseConfigurationYaml, section, text, whole } from './configuration-yaml.ts';
import { describeIssue } from './shape.ts';
import { checkTracing, mergeOtelEnvironment } from './tracing.ts';
import { YamlError } from './yaml.ts';

type Env = Readonly<Record<string, string | undefined>>;

const pipeline = () => object({ handlers: list(object({ name: text(), type: text(), version: text() })) });
const metrics = () => section({
  enabled: optionalFlag(),
  recordErrorCodes: optionalFlag(),
  http: section({ increasedCardinality: optionalFlag(), pathMatching: list(text()), excludeVerbs: flag() }),
  latencyDistributionBuckets: list(whole()),
  rules: list(object({ name: text(), labels: list(object({ name: text(), regex: map(text()) })) })),
});
const apiRules = () => list(object({ name: text(), version: text(), protocol: text() }));
const limits = () => list(object({ name: text(), maxConcurrent: whole() }));
const workflow = () => object({
  maxConcurrentWorkflowInvocations: optionalWhole(),
  maxConcurrentActivityInvocations: optionalWhole(),
  globalMaxConcurrentWorkflowInvocations: optionalWhole(),
  globalMaxConcurrentActivityInvocations: optionalWhole(),
  workflowConcurrencyLimits: limits(),
  activityConcurrencyLimits: limits(),
  stateRetentionPolicy: section({ anyTerminal: duration(), completed: duration(), failed: duration(), terminated: duration() }),
});
const spec = () => object({
  httpPipeline: pipeline(),
  appHttpPipeline: pipeline(),
  tracing: object({
    samplingRate: text(),
    stdout: flag(),
    zipkin: section({ endpointAddress: text() }),
    otel: section({ protocol: text(), endpointAddress: text(), isSecure: flag(true), headers: list(text()), timeout: duration() }),
  }),
  metric: metrics(),
  metrics: metrics(),
  secrets: object({ scopes: list(object({ storeName: text(), defaultAccess: text(), allowedSecrets: list(text()), deniedSecrets: list(text()) })) }),
  accessControl: section({
    // a missing action allows, an empty one denies
    defaultAction: text('allow'),
    trustDomain: text('public'),
    policies: list(object({ appId: text(), defaultAction: text(), trustDomain: text(), namespace: text(), operations: list(object({ name: text(), httpVerb: list(text()), action: text() })) })),
  }),
  nameResolution: section({ component: text(), version: text(), configuration: looseMap() }),
  features: list(object({ name: text(), enabled: flag() })),
  api: object({ allowed: apiRules(), denied: apiRules() }),
  components: object({ deny: list(text()) }),
  logging: object({ apiLogging: object({ enabled: flag(), obfuscateURLs: flag(), omitHealthChecks: flag() }) }),
  wasm: object({ strictSandbox: flag() }),
  workflow: workflow(),
  // read by the control plane only, but its types are checked
  mtls: object({ enabled: flag(), workloadCertTTL: text(), allowedClockSkew: text(), sentryAddress: text(), controlPlaneTrustDomain: text(), tokenValidators: list(object({ name: text() })) }),
});
/** Built for the first file: most sidecars read none. */
const document = z.lazy(() => object({ apiVersion: text(), kind: text(), metadata: object({ name: text(), namespace: text(), labels: map(text()), annotations: map(text()) }), spec: spec() }));

export interface ConfigurationText {
  file: string;
  text: string;
}

/** The texts of `--config`. Rejects with ConfigurationError where a file cannot be read. */
export async function readConfigurationFiles(files: FilesPort, paths: readonly string[]): Promise<ConfigurationText[]> {
  const texts: ConfigurationText[] = [];
  for (const file of paths) {
    try {
      texts.push({ file, text: decodeText(await files.read(file)) });
    } catch (error) {
      throw new ConfigurationError(`error loading configuration: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return texts;
}

/**
 * All files on top of the defaults, then OTEL_* variables. apiVersion and kind are not looked at, and only the first document of a file counts.
 * Throws ConfigurationError naming file, line and field, or what daprd says where its sections contradict.
 */
export function loadConfiguration(files: readonly ConfigurationText[], env: Env): Configuration {
  let merged: unknown;
  for (const { file, text } of files) {
    try {
      const tree = parseConfigurationYaml(expandEnvironment(text, env));
      const result = document.safeParse(tree.value);
      if (!result.success) throw new YamlError(`line ${tree.lineOf(result.error.issues[0]?.path ?? [])}: ${describeIssue(result.error)}`);
      merged = mergeTrees(merged, tree.value);
    } catch (error) {
      if (error instanceof YamlError) throw new ConfigurationError(`error loading configuration: ${file}: ${error.message}`);
      throw error;
    }
  }
  const configuration = files.length === 0 ? defaultConfiguration() : fromSpec(document.parse(merged).spec);
  mergeOtelEnvironment(configuration.tracing, env);
  checkTracing(configuration.tracing);
  checkAccessControl(configuration.accessControl);
  return configuration;
}

function fromSpec(read: z.output<ReturnType<typeof spec>>): Configuration {
  const defaults = defaultConfiguration();
  const { timeout, ...otel } = read.tracing.otel ?? {};
  const handlers = (from: typeof read.httpPipeline) => from.handlers.map((h) => ({ ...h, version: h.version || 'v1' }));
  return {
    tracing: {
      samplingRate: read.tracing.samplingRate,
      stdout: read.tracing.stdout,
      ...(read.tracing.zipkin ? { zipkin: read.tracing.zipkin } : {}),
      ...(read.tracing.otel ? { otel: { ...(otel as Omit<NonNullable<typeof read.tracing.otel>, 'timeout'>), ...(timeout === undefined ? {} : { timeoutMs: timeout }) } } : {}),
    },
    metrics: mergeMetrics(defaults.metrics, read.metric, read.metrics),
    httpPipeline: handlers(read.httpPipeline),
    appHttpPipeline: handlers(read.appHttpPipeline),
    nameResolution: read.nameResolution && { ...read.nameResolution, version: read.nameResolution.version || 'v1' },
    secrets: { scopes: secretScopes(read.secrets.scopes) },
    componentsDeny: read.components.deny,
    accessControl: read.accessControl,
    api: read.api,
    features: read.features,
    logging: read.logging,
    wasmStrictSandbox: read.wasm.strictSandbox,
    workflow: read.workflow,
  };
}

/** Each part that `metrics` gives replaces the part of `metric`. */
function mergeMetrics(defaults: MetricsSpec, ...given: z.output<ReturnType<typeof metrics>>[]): MetricsSpec {
  const out = { ...defaults };
  for (const part of given) {
    if (!part) continue;
    if (part.enabled !== undefined) out.enabled = part.enabled;
    if (part.recordErrorCodes !== undefined) out.recordErrorCodes = part.recordErrorCodes;
    if (part.http) out.http = part.http;
    if (part.latencyDistributionBuckets.length > 0) out.latencyDistributionBuckets = part.latencyDistributionBuckets;
    if (part.rules.length > 0) out.rules = part.rules;
  }
  return out;
}

function secretScopes(scopes: readonly { storeName: string; defaultAccess: string; allowedSecrets: string[]; deniedSecrets: string[] }[]): SecretScope[] {
  const seen = new Set<string>();
  return scopes.map((scope) => {
    if (seen.has(scope.storeName)) throw new ConfigurationError(`error loading configuration: ${scope.storeName} storeName is repeated in secrets configuration`);
    seen.add(scope.storeName);
    const access = scope.defaultAccess.toLowerCase() || 'allow';
    if (access !== 'allow' && access !== 'deny') throw new ConfigurationError(`error loading configuration: defaultAccess ${scope.defaultAccess} can be either allow or deny`);
    return { ...scope, defaultAccess: access };
  });
}
