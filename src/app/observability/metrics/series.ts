// Every series this sidecar can show, with Dapr's names, help texts and labels (dapr/pkg/diagnostics/*_monitoring.go).
import type { FamilySpec } from './registry.ts';

const spec = (name: string, help: string, ...labels: string[]): FamilySpec => ({ name, help, labels: ['app_id', ...labels] });

/** Milliseconds, where the Configuration names no others. */
export const usualLatencyBounds: readonly number[] = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300, 400, 500, 650, 800, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
export const sizeBounds: readonly number[] = [10, 11, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32].map((power) => 2 ** power);

const request = ['method', 'path', 'status'];
export const httpServer = {
  requestBytes: spec('http_server_request_bytes', 'HTTP request body size if set as ContentLength (uncompressed) in server.'),
  responseBytes: spec('http_server_response_bytes', 'HTTP response body size (uncompressed) in server.'),
  latency: spec('http_server_latency', 'HTTP request end-to-end latency in server.', ...request),
  requestCount: spec('http_server_request_count', 'Count of HTTP requests processed by the server.', ...request),
  /** Only with increased cardinality. */
  responseCount: spec('http_server_response_count', 'The number of HTTP responses', ...request),
};
export const httpClient = {
  sentBytes: spec('http_client_sent_bytes', 'Total bytes sent in request body (not including headers)', ...request),
  receivedBytes: spec('http_client_received_bytes', 'Total bytes received in response bodies (not including headers but including error responses with bodies)'),
  roundtripLatency: spec('http_client_roundtrip_latency', 'Time between first byte of request headers sent to last byte of response received, or terminal error', ...request),
  completedCount: spec('http_client_completed_count', 'Count of completed requests', ...request),
};
export const healthProbes = {
  completedCount: spec('http_healthprobes_completed_count', 'Count of completed health probes', 'status'),
  roundtripLatency: spec('http_healthprobes_roundtrip_latency', 'Time between first byte of health probes headers sent to last byte of response received, or terminal error', 'status'),
};

const component = ['component', 'namespace'];
/** Operations of one kind of component: how many, and how long the component took. */
const operations = (kind: string, what: string, responder: string) => ({
  count: spec(`component_${kind}_count`, what, ...component, 'operation', 'success'),
  latencies: spec(`component_${kind}_latencies`, `The latency of the response from the ${responder} component.`, ...component, 'operation', 'success'),
});
export const components = {
  state: operations('state', 'The number of operations performed on the state component.', 'state'),
  configuration: operations('configuration', 'The number of operations performed on the configuration component.', 'configuration'),
  secret: operations('secret', 'The number of operations performed on the secret component.', 'secret'),
  crypto: operations('crypto', 'The number of operations performed on the crypto component.', 'crypto'),
  output_binding: operations('output_binding', 'The number of operations invoked on the output binding component.', 'output binding'),
};
export const inputBinding = {
  count: spec('component_input_binding_count', 'The number of incoming events arriving from the input binding component.', ...component, 'success'),
  latencies: spec('component_input_binding_latencies', 'The triggered app event processing latency.', ...component, 'success'),
};
export const egress = {
  count: spec('component_pubsub_egress_count', 'The number of outgoing messages published to the pub/sub component.', ...component, 'success', 'topic'),
  latencies: spec('component_pubsub_egress_latencies', 'The latency of the response from the pub/sub component.', ...component, 'success', 'topic'),
};
export const bulkEgress = {
  count: spec('component_pubsub_egress_bulk_count', 'The number of bulk publish calls to the pub/sub component.', ...component, 'success', 'topic'),
  latencies: spec('component_pubsub_egress_bulk_latencies', 'The latency of the response for the bulk publish call from the pub/sub component.', ...component, 'success', 'topic'),
};
export const ingress = {
  count: spec('component_pubsub_ingress_count', 'The number of incoming messages arriving from the pub/sub component.', ...component, 'process_status', 'status', 'topic'),
  latencies: spec('component_pubsub_ingress_latencies', 'The consuming app event processing latency.', ...component, 'process_status', 'status', 'topic'),
};
export const bulkIngress = {
  count: spec('component_pubsub_ingress_bulk_count', 'The number of incoming bulk subscribe calls arriving from the bulk pub/sub component.', ...component, 'process_status', 'topic'),
  eventCount: spec('component_pubsub_ingress_bulk_event_count', 'Total number of incoming messages arriving from the bulk pub/sub component via Bulk Subscribe.', ...component, 'process_status', 'topic'),
  latencies: spec('component_pubsub_ingress_bulk_latencies', 'The consuming app event processing latency for the bulk pub/sub component.', ...component, 'process_status', 'topic'),
};

export const runtimeComponents = {
  loaded: spec('runtime_component_loaded', 'The number of successfully loaded components.'),
  initTotal: spec('runtime_component_init_total', 'The number of initialized components.', 'component'),
  initFailTotal: spec('runtime_component_init_fail_total', 'The number of component initialization failures.', 'component', 'reason', 'componentName'),
};
export const serviceInvocation = {
  sent: spec('runtime_service_invocation_req_sent_total', 'The number of requests sent via service invocation.', 'dst_app_id', 'type'),
  received: spec('runtime_service_invocation_req_recv_total', 'The number of requests received via service invocation.', 'src_app_id'),
  replied: spec('runtime_service_invocation_res_sent_total', 'The number of responses sent via service invocation.', 'dst_app_id', 'status'),
  answered: spec('runtime_service_invocation_res_recv_total', 'The number of responses received via service invocation.', 'src_app_id', 'status', 'type'),
  answeredLatency: spec('runtime_service_invocation_res_recv_latency_ms', 'The latency of service invocation response.', 'src_app_id', 'status'),
};

const policy = ['name', 'policy', 'namespace', 'flow_direction', 'target', 'status'];
export const resiliency = {
  loaded: spec('resiliency_loaded', 'Number of resiliency policies loaded.', 'name', 'namespace'),
  count: spec('resiliency_count', 'Number of times a resiliency policyKey has been applied to a building block.', ...policy),
  activations: spec('resiliency_activations_total', 'Number of times a resiliency policyKey has been activated in a building block after a failure or after a state change.', ...policy),
  breakerState: spec('resiliency_cb_state', "A resiliency policy's current CircuitBreakerState state. 0 is closed, 1 is half-open, 2 is open, and -1 is unknown.", ...policy),
};
/** Only with recordErrorCodes. */
export const errorCodes = spec('error_code_total', 'Total number of times an error with a specific error code was encountered.', 'error_code', 'category');
