// What a sidecar is told when it starts: daprd's flags and environment, already checked and in plain units.
import { formatDuration } from '../core/duration.ts';
import type { MetadataView } from '../blocks/metadata/metadata.ts';

export type AppProtocol = 'http' | 'https' | 'h2c' | 'grpc' | 'grpcs';

export interface AppHealthSettings {
  /** Path (and query) probed with GET. */
  path: string;
  intervalMs: number;
  timeoutMs: number;
  /** Failures before a healthy app counts as unhealthy. */
  threshold: number;
}

export interface Settings {
  appId: string;
  /** Environment NAMESPACE; '' when unset (identity then says `default`). */
  namespace: string;
  mode: 'standalone' | 'kubernetes';
  app: {
    /** 0 = no app. */
    port: number;
    protocol: AppProtocol;
    /** Host of the app, default 127.0.0.1. */
    address: string;
    /** 0 = no limit. */
    maxConcurrency: number;
    health: AppHealthSettings | undefined;
    /** Whether the app is asked /dapr/config and /dapr/subscribe. */
    initEndpoints: { config: boolean; subscribe: boolean };
    bindingOptionsTimeoutMs: number;
  };
  /** DAPR_API_TOKEN and APP_API_TOKEN, '' when unset. */
  apiToken: string;
  appToken: string;
  /** Body limit in bytes, 0 = none. */
  maxBodyBytes: number;
  /** --allowed-origins, '' = no CORS. */
  allowedOrigins: string;
  /** undefined: the Configuration decides. */
  apiLogging: boolean | undefined;
  /** Whether anybody can read the metrics; without a reader nothing is counted. */
  metrics: boolean;
  /** Port of the HTTP API and of the sidecar-to-sidecar listener, as told to others. */
  httpPort: number;
  internalPort: number;
  /** Extra attributes of GET /v1.0/metadata known at start. */
  placementConfigured: boolean;
}

/** The release of Dapr whose wire this sidecar speaks; SDKs and the dapr CLI compare it. */
export const daprVersion = '1.18.2';

/** The app as GET /v1.0/metadata shows it; a gRPC app has no health path. */
export function appConnection({ port, protocol, address, maxConcurrency, health }: Settings['app']): MetadataView['appConnectionProperties'] {
  return {
    port: port || undefined,
    protocol,
    channelAddress: address,
    maxConcurrency: maxConcurrency || undefined,
    health: health && {
      healthCheckPath: protocol.startsWith('grpc') ? undefined : health.path,
      healthProbeInterval: formatDuration(health.intervalMs),
      healthProbeTimeout: formatDuration(health.timeoutMs),
      healthThreshold: health.threshold,
    },
  };
}
