// Dapr's error model: one row per error, one error class, and the kinds of failure an adapter may report.

/** gRPC status names in Go's spelling, as they appear inside Dapr's messages. */
export type GrpcCode =
  | 'OK' | 'Canceled' | 'Unknown' | 'InvalidArgument' | 'DeadlineExceeded' | 'NotFound' | 'AlreadyExists' | 'PermissionDenied'
  | 'ResourceExhausted' | 'FailedPrecondition' | 'Aborted' | 'OutOfRange' | 'Unimplemented' | 'Internal' | 'Unavailable'
  | 'DataLoss' | 'Unauthenticated';

interface Row {
  /** `errorCode` on HTTP; empty where Dapr answers with the reason instead. */
  readonly code: string;
  readonly http: number;
  readonly grpc: GrpcCode;
  /** Text with named holes: `state store {store} is not found`. */
  readonly message: string;
  /** `reason` of the ErrorInfo detail; a row without one has no details on HTTP ("legacy" shape). */
  readonly reason?: string;
  /** `resource_type` of the ResourceInfo detail; the name comes from the hole `resource` or `store`. */
  readonly resource?: string;
}

const row = (code: string, http: number, grpc: GrpcCode, message: string, more: { reason?: string; resource?: string } = {}): Row => ({ code, http, grpc, message, ...more });

/**
 * Every error Dapr's API can answer, keyed by our name for it.
 * HTTP and gRPC codes are independent columns. Source: dapr/pkg/messages/predefined.go, dapr/pkg/api/errors.
 */
export const rows = {
  // generic
  badRequest: row('ERR_BAD_REQUEST', 400, 'InvalidArgument', 'invalid request: {error}'),
  bodyRead: row('ERR_BODY_READ', 400, 'InvalidArgument', 'failed to read request body: {error}'),
  malformedRequest: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', '{error}'),
  malformedBody: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', 'failed deserializing HTTP body: {error}'),
  malformedRequestData: row('ERR_MALFORMED_REQUEST_DATA', 500, 'Internal', "can't serialize request data field: {error}"),
  malformedResponse: row('ERR_MALFORMED_RESPONSE', 500, 'Internal', '{error}'),
  unimplemented: row('ERR_API_UNIMPLEMENTED', 501, 'Unimplemented', 'this API is currently not implemented'),
  unknown: row('ERROR', 500, 'Unknown', '{error}'),

  // state
  stateStoreNotConfigured: row('ERR_STATE_STORE_NOT_CONFIGURED', 500, 'FailedPrecondition', 'state store {store} is not configured', { reason: 'DAPR_STATE_NOT_CONFIGURED' }),
  stateStoreNotFound: row('ERR_STATE_STORE_NOT_FOUND', 400, 'InvalidArgument', 'state store {store} is not found', { reason: 'DAPR_STATE_NOT_FOUND' }),
  stateIllegalKey: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', "input key/keyPrefix '{key}' can't contain '||'", { reason: 'DAPR_STATE_ILLEGAL_KEY', resource: 'state' }),
  stateGet: row('ERR_STATE_GET', 500, 'Internal', 'fail to get {key} from state store {store}: {error}'),
  stateBulkGet: row('ERR_STATE_BULK_GET', 500, 'Unknown', '{error}'),
  stateSave: row('ERR_STATE_SAVE', 500, 'Internal', 'failed saving state in state store {store}: {error}'),
  stateDelete: row('ERR_STATE_DELETE', 500, 'Internal', 'failed deleting state with key {key}: {error}'),
  stateTransaction: row('ERR_STATE_TRANSACTION', 500, 'Internal', 'error while executing state transaction: {error}'),
  stateOperationNotSupported: row('ERR_NOT_SUPPORTED_STATE_OPERATION', 400, 'Unimplemented', 'operation type {operation} not supported'),
  stateTransactionsNotSupported: row('ERR_STATE_STORE_NOT_SUPPORTED', 500, 'Unimplemented', "state store {store} doesn't support transactions", { reason: 'DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED', resource: 'state' }),
  stateQueryNotSupported: row('ERR_STATE_STORE_NOT_SUPPORTED', 500, 'Internal', 'state store does not support querying', { reason: 'DAPR_STATE_QUERYING_NOT_SUPPORTED', resource: 'state' }),
  // ours: Dapr has no HTTP call that lists keys
  stateKeysNotSupported: row('ERR_STATE_STORE_NOT_SUPPORTED', 500, 'Unimplemented', 'state store {store} does not support listing keys', { reason: 'DAPR_STATE_LISTING_NOT_SUPPORTED', resource: 'state' }),
  stateKeys: row('ERR_STATE_KEYS', 500, 'Internal', 'failed listing keys of state store {store}: {error}'),
  stateTooManyTransactions: row('ERR_STATE_STORE_TOO_MANY_TRANSACTIONS', 400, 'InvalidArgument', 'the transaction contains {count} operations, which is more than what the state store supports: {max}', { reason: 'DAPR_STATE_TOO_MANY_TRANSACTIONS', resource: 'state' }),
  stateQuery: row('ERR_STATE_QUERY', 500, 'Internal', 'state store {store} query failed: {error}', { reason: 'DAPR_STATE_QUERY_FAILED', resource: 'state' }),

  // secrets
  secretStoresNotConfigured: row('ERR_SECRET_STORES_NOT_CONFIGURED', 500, 'FailedPrecondition', 'secret store is not configured'),
  secretStoreNotFound: row('ERR_SECRET_STORE_NOT_FOUND', 401, 'InvalidArgument', 'failed finding secret store with key {store}'),
  secretDenied: row('ERR_PERMISSION_DENIED', 403, 'PermissionDenied', 'access denied by policy to get {key} from {store}'),
  secretGet: row('ERR_SECRET_GET', 500, 'Internal', 'failed getting secret with key {key} from secret store {store}: {error}'),
  secretBulkGet: row('ERR_SECRET_GET', 500, 'Internal', 'failed getting secrets from secret store {store}: {error}'),

  // publish
  pubsubNotFound: row('ERR_PUBSUB_NOT_FOUND', 404, 'InvalidArgument', 'pubsub {pubsub} is not found', { reason: 'DAPR_PUBSUB_NOT_FOUND' }),
  pubsubNotConfigured: row('ERR_PUBSUB_NOT_CONFIGURED', 400, 'FailedPrecondition', 'pubsub {pubsub} is not configured', { reason: 'DAPR_PUBSUB_NOT_CONFIGURED' }),
  pubsubNameEmpty: row('ERR_PUBSUB_EMPTY', 404, 'InvalidArgument', 'pubsub name is empty', { reason: 'DAPR_PUBSUB_NAME_EMPTY', resource: 'pubsub' }),
  pubsubTopicEmpty: row('ERR_TOPIC_NAME_EMPTY', 404, 'InvalidArgument', 'topic is empty in pubsub {pubsub}', { reason: 'DAPR_PUBSUB_TOPIC_NAME_EMPTY', resource: 'pubsub' }),
  pubsubMetadata: row('ERR_PUBSUB_REQUEST_METADATA', 400, 'InvalidArgument', 'failed deserializing metadata. Error: {error}', { reason: 'DAPR_PUBSUB_METADATA_DESERIALIZATION', resource: 'pubsub' }),
  pubsubCloudEvent: row('ERR_PUBSUB_CLOUD_EVENTS_SER', 500, 'InvalidArgument', 'cannot create cloudevent', { reason: 'DAPR_PUBSUB_CLOUD_EVENT_CREATION', resource: 'pubsub' }),
  pubsubEnvelope: row('ERR_PUBSUB_EVENTS_SER', 400, 'InvalidArgument', 'error when marshalling cloud event envelope for topic {topic} pubsub {pubsub}: {error}', { reason: 'DAPR_PUBSUB_MARSHAL_ENVELOPE', resource: 'pubsub' }),
  pubsubEntryId: row('ERR_PUBSUB_EVENTS_SER', 400, 'InvalidArgument', 'error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {error}', { reason: 'DAPR_PUBSUB_MARSHAL_EVENTS', resource: 'pubsub' }),
  pubsubBulkBody: row('ERR_PUBSUB_EVENTS_SER', 400, 'InvalidArgument', 'error when unmarshaling the request for topic {topic} pubsub {pubsub}: {error}', { reason: 'DAPR_PUBSUB_UNMARSHAL_EVENTS', resource: 'pubsub' }),
  pubsubForbidden: row('ERR_PUBSUB_FORBIDDEN', 403, 'PermissionDenied', 'topic {topic} is not allowed for app id {appId}', { reason: 'DAPR_PUBSUB_FORBIDDEN', resource: 'pubsub' }),
  pubsubPublish: row('ERR_PUBSUB_PUBLISH_MESSAGE', 500, 'Internal', 'error when publishing to topic {topic} in pubsub {pubsub}: {error}', { reason: 'DAPR_PUBSUB_PUBLISH_MESSAGE', resource: 'pubsub' }),

  outboxPublish: row('ERR_PUBLISH_OUTBOX', 500, 'Internal', 'error while publishing outbox message: {error}', { reason: 'DAPR_PUBSUB_OUTBOX' }),

  // bindings, invocation
  bindingInvoke: row('ERR_INVOKE_OUTPUT_BINDING', 500, 'Internal', 'error invoking output binding {name}: {error}'),
  invokeNoAppId: row('ERR_DIRECT_INVOKE', 404, 'NotFound', 'failed getting app id either from the URL path or the header dapr-app-id'),
  invokeNotReady: row('ERR_DIRECT_INVOKE', 500, 'Internal', 'invoke API is not ready'),
  invoke: row('ERR_DIRECT_INVOKE', 500, 'Internal', 'failed to invoke, id: {appId}, err: {error}'),
  invokeDenied: row('ERR_DIRECT_INVOKE', 403, 'PermissionDenied', 'failed to invoke, id: {appId}, err: {error}'),

  // configuration
  configurationStoreNotConfigured: row('ERR_CONFIGURATION_STORE_NOT_CONFIGURED', 500, 'FailedPrecondition', 'configuration stores not configured'),
  configurationStoreNotFound: row('ERR_CONFIGURATION_STORE_NOT_FOUND', 400, 'InvalidArgument', 'configuration store {store} not found'),
  configurationGet: row('ERR_CONFIGURATION_GET', 500, 'Internal', 'failed to get {keys} from Configuration store {store}: {error}'),
  configurationSubscribe: row('ERR_CONFIGURATION_SUBSCRIBE', 500, 'InvalidArgument', 'failed to subscribe {keys} from Configuration store {store}: {error}'),
  configurationUnsubscribe: row('ERR_CONFIGURATION_UNSUBSCRIBE', 500, 'Internal', 'failed to unsubscribe to configuration request {id}: {error}'),

  // lock
  lockStoreNotConfigured: row('ERR_LOCK_STORE_NOT_CONFIGURED', 500, 'FailedPrecondition', 'lock store is not configured'),
  lockStoreNotFound: row('ERR_LOCK_STORE_NOT_FOUND', 400, 'InvalidArgument', 'lock store {store} not found'),
  lockResourceEmpty: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', 'ResourceId is empty in lock store {store}'),
  lockOwnerEmpty: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', 'LockOwner is empty in lock store {store}'),
  lockExpiryNotPositive: row('ERR_MALFORMED_REQUEST', 400, 'InvalidArgument', 'ExpiryInSeconds is not positive in lock store {store}'),
  tryLock: row('ERR_TRY_LOCK', 500, 'Internal', 'failed to try acquiring lock: {error}'),
  unlock: row('ERR_UNLOCK', 500, 'Internal', 'failed to release lock: {error}'),

  // health
  healthNotReady: row('ERR_HEALTH_NOT_READY', 500, 'Internal', 'dapr is not ready: [{targets}]'),
  healthAppIdNotMatch: row('ERR_HEALTH_APPID_NOT_MATCH', 500, 'Internal', 'dapr app-id does not match'),
  outboundNotReady: row('ERR_OUTBOUND_HEALTH_NOT_READY', 500, 'Internal', 'dapr outbound is not ready'),

  // building blocks that are routed but not built yet
  jobSchedule: row('', 500, 'Internal', 'failed to schedule job due to: {error}', { reason: 'DAPR_SCHEDULER_SCHEDULE_JOB' }),
  jobGet: row('', 500, 'Internal', 'failed to get job due to: {error}', { reason: 'DAPR_SCHEDULER_GET_JOB' }),
  jobDelete: row('', 500, 'Internal', 'failed to delete job due to: {error}', { reason: 'DAPR_SCHEDULER_DELETE_JOB' }),
  jobNameInBody: row('', 400, 'InvalidArgument', 'Set the job name in the url only', { reason: 'DAPR_SCHEDULER_JOB_NAME' }),
  jobNameEmpty: row('', 400, 'InvalidArgument', 'Name is empty', { reason: 'DAPR_SCHEDULER_JOB_NAME_EMPTY' }),
  jobScheduleEmpty: row('', 400, 'InvalidArgument', 'Schedule is empty', { reason: 'DAPR_SCHEDULER_SCHEDULE_EMPTY' }),
  actorNoPlacement: row('ERR_ACTOR_NO_PLACEMENT', 400, 'Unavailable', 'placement service is not configured'),
  cryptoProvidersNotConfigured: row('ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED', 500, 'Internal', 'crypto providers not configured'),
  conversationNotFound: row('ERR_CONVERSATION_NOT_FOUND', 400, 'InvalidArgument', 'failed finding conversation component {name}'),
} as const satisfies Record<string, Row>;

export type ErrorName = keyof typeof rows;

/** One google.rpc detail, already in the key order Dapr prints (alphabetical, snake_case). */
export type Detail = { readonly '@type': string; readonly [key: string]: unknown };

const typeUrl = 'type.googleapis.com/google.rpc.';
export const badRequestDetail = (field: string, description: string): Detail => ({ '@type': `${typeUrl}BadRequest`, field_violations: [{ ...(field === '' ? {} : { field }), description }] });
export const resourceDetail = (type: string, name: string, description = ''): Detail => ({ '@type': `${typeUrl}ResourceInfo`, description, owner: '', resource_name: name, resource_type: type });
export const helpDetail = (url: string, description: string): Detail => ({ '@type': `${typeUrl}Help`, links: [{ description, url }] });
/** `metadata: null` is what Dapr prints where none is set; `{}` is different. */
export const infoDetail = (reason: string, metadata: Record<string, string> | null): Detail => ({ '@type': `${typeUrl}ErrorInfo`, domain: 'dapr.io', metadata, reason });

type Holes = Record<string, string | number>;
const fillHoles = (template: string, holes: Holes) => template.replace(/\{(\w+)\}/g, (_, name: string) => String(holes[name] ?? ''));

/** Anything the API answers that is not success. Rendered by app/http/errors.ts (and the gRPC twin). */
export class DaprError extends Error {
  override name = 'DaprError';
  readonly is: ErrorName;
  readonly row: Row;
  /** HTTP status, normally the row's. */
  readonly http: number;
  readonly grpc: GrpcCode;
  readonly details: readonly Detail[];
  constructor(is: ErrorName, holes: Holes, more: { details?: readonly Detail[]; http?: number; grpc?: GrpcCode; cause?: unknown; message?: string }) {
    const row: Row = rows[is];
    super(more.message ?? fillHoles(row.message, holes), more.cause === undefined ? undefined : { cause: more.cause });
    this.is = is;
    this.row = row;
    this.http = more.http ?? row.http;
    this.grpc = more.grpc ?? row.grpc;
    this.details = more.details ?? [];
  }
  /** The text form Go gives such an error inside another message. */
  get goText(): string {
    return this.row.reason ? `api error: code = ${this.grpc} desc = ${this.message}` : this.message;
  }
}

/** Makes the error of a row: `throw fail('stateStoreNotFound', { store }, { details: [...] })`. */
export const fail = (is: ErrorName, holes: Holes = {}, more: ConstructorParameters<typeof DaprError>[2] = {}): DaprError => new DaprError(is, holes, more);

/**
 * What an adapter reports when its store says no. Blocks turn the kind into a row.
 * - `etagMismatch`, `etagInvalid`: concurrency control refused the write (409, 400)
 * - `unavailable`: the server cannot be reached or timed out; a retry may help
 * - `invalid`: the request cannot be carried out as asked; a retry will not help
 */
export type AdapterErrorKind = 'etagMismatch' | 'etagInvalid' | 'unavailable' | 'invalid' | 'internal';

export class AdapterError extends Error {
  override name = 'AdapterError';
  readonly kind: AdapterErrorKind;
  constructor(kind: AdapterErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** Source of both texts: components-contrib/state/errors.go. */
export const etagMismatch = (inner?: string): AdapterError => new AdapterError('etagMismatch', `possible etag mismatch. error from state store${inner ? `: ${inner}` : ''}`);
export const etagInvalid = (inner?: string): AdapterError => new AdapterError('etagInvalid', `invalid etag value${inner ? `: ${inner}` : ''}`);

/** The text of anything thrown, for messages. */
export const textOf = (error: unknown): string => (error instanceof DaprError ? error.goText : error instanceof Error ? error.message : String(error));
