// Names of component types and categories that Dapr 1.18 knows, so that a type Outrigger lacks is told from a misspelt one.
import type { Block } from './definition.ts';

/** Category prefixes in lower case, as upstream compares them: `State.Redis` is none. */
const categories: readonly Block[] = ['bindings', 'configuration', 'conversation', 'crypto', 'lock', 'middleware', 'pubsub', 'secretstores', 'state'];

/** The category a type begins with; undefined where there is none of that name. */
export const categoryOf = (type: string): Block | undefined => categories.find((category) => type.startsWith(`${category}.`));

const upstream: Partial<Record<Block, string>> = {
  bindings:
    'alicloud.dingtalk.webhook alicloud.dubbo alicloud.oss alicloud.sls alicloud.tablestore apns aws.dynamodb aws.kinesis aws.s3 aws.ses aws.sns aws.sqs azure.blobstorage azure.cosmosdb azure.cosmosdb.gremlinapi azure.eventgrid azure.eventhubs azure.openai azure.servicebus.queues azure.servicebusqueues azure.signalr azure.storagequeues cloudflare.queues commercetools cron dingtalk.webhook dubbo gcp.bucket gcp.pubsub graphql http huawei.obs influx kafka kubemq kubernetes localstorage mqtt mqtt3 mysql postgres postgresql postmark rabbitmq redis rethinkdb.statechange rocketmq sftp smtp twilio.sendgrid twilio.sms wasm zeebe.command zeebe.jobworker',
  configuration: 'azure.appconfig kubernetes postgres postgresql redis',
  conversation: 'anthropic aws.bedrock deepseek echo googleai huggingface mistral ollama openai',
  crypto: 'azure.keyvault dapr.jwks dapr.kubernetes.secrets dapr.localstorage',
  lock: 'redis',
  middleware: 'http.bearer http.oauth2 http.oauth2clientcredentials http.opa http.ratelimit http.routeralias http.routerchecker http.sentinel http.uppercase http.wasm',
  pubsub: 'aws.snssqs azure.eventhubs azure.servicebus azure.servicebus.queues azure.servicebus.topics azure.servicebusqueues gcp.pubsub in-memory jetstream kafka kubemq mqtt mqtt3 pulsar rabbitmq redis rocketmq snssqs solace.amqp',
  secretstores: 'alicloud.parameterstore aws.parameterstore aws.secretmanager azure.keyvault gcp.secretmanager hashicorp.vault huaweicloud.csms kubernetes local.env local.file tencentcloud.ssm',
  state:
    'aerospike alicloud.tablestore aws.dynamodb azure.blobstorage azure.cosmosdb azure.tablestorage cassandra cloudflare.workerskv cockroachdb coherence consul couchbase etcd gcp.firestore hashicorp.consul hazelcast in-memory jetstream memcached mongodb mysql oci.objectstorage oracledatabase postgres postgresql ravendb redis rethinkdb sqlite sqlite3 sqlserver yugabyte yugabytedb zookeeper',
};

/** Whether Dapr 1.18 has a component of this type. */
export function isDaprType(type: string): boolean {
  const category = categoryOf(type);
  return category !== undefined && (upstream[category] ?? '').split(' ').includes(type.slice(category.length + 1).toLowerCase());
}
