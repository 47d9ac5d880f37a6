// pubsub.aws.snssqs: messages go to an SNS topic and from there to one SQS queue for each app.
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { entityName, partitionOf } from '../aws/entity-names.ts';
import { awsCalls, prefixed } from '../aws/failure.ts';
import { createQueueConsumer, type QueueConsumer } from '../aws/queue-consumer.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { type AwsClientSettings, awsClientSettings } from '../aws/settings.ts';
import { createEntities } from '../aws/sns-sqs-entities.ts';

const metadata = schema(
  {
    ...awsFields,
    partition: field.text().default('').describe('Partition of the region; default: the one its name says'),
    accountID: field.text().default('').describe('AWS account, twelve digits; default: asked for when the sidecar starts (sts:GetCallerIdentity)'),
    consumerID: field.text().default('').describe('Name of the queue; default: the app id'),
    fifo: field.flag().default(false).describe('FIFO topics and queues'),
    fifoMessageGroupID: field.text().default('').describe('Message group of what is published, with fifo; default: the consumerID'),
    messageVisibilityTimeout: field.integer().default(10).describe('Seconds for which a message that was taken stays hidden from others'),
    messageRetryLimit: field.integer().default(10).describe('A message taken so often is deleted instead of delivered; at least 2'),
    disableDeleteOnRetryLimit: field.flag().default(false).describe('At messageRetryLimit a message is made visible to others and delivered again'),
    sqsDeadLettersQueueName: field.text().default('').describe('Queue for messages that were taken messageReceiveLimit times'),
    messageReceiveLimit: field.integer().default(0).describe('How often a message is taken before it goes to sqsDeadLettersQueueName; both or neither'),
    messageWaitTimeSeconds: field.integer().default(2).describe('Seconds for which one look into the queue waits for messages'),
    messageMaxNumber: field.integer().default(10).describe('Messages taken at once, 1 to 10'),
    concurrencyMode: field.text().default('').describe('parallel (default) or single: one message after the other'),
    concurrencyLimit: field.integer().default(0).describe('Messages handled at once in parallel mode; 0: no limit'),
    disableEntityManagement: field.flag().default(false).describe('Topics, queues and subscriptions are looked up, never made or changed'),
    assetsManagementTimeoutSeconds: field.number().default(5).describe('How long one call to make or look up a topic, queue or subscription may take'),
    backOffPolicy: field.text().default('constant').describe('constant or exponential: the pauses after a look into the queue that failed'),
    backOffDuration: field.duration().default(5000).describe('The pause, when constant'),
    backOffInitialInterval: field.duration().default(500).describe('The first pause, when exponential'),
    backOffMultiplier: field.number().default(1.5).describe('How much longer each pause is, when exponential'),
    backOffMaxInterval: field.duration().default(60_000).describe('The longest pause, when exponential'),
  },
  // awsAccountID has always been the access key
  { ...awsAliases, awsAccountID: 'accessKey', awsSecret: 'secretKey' },
);
type Metadata = ReturnType<typeof metadata.parse>;

export default definePubSub({
  type: 'pubsub.aws.snssqs',
  aliases: ['pubsub.snssqs'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: [],
  summary: 'AWS SNS topics with one SQS queue for each app; on Workers for publishing only.',
  metadata,
  open: async (settings, { host, log, appId, properties }) => {
    check(settings);
    const client = awsClientSettings(settings, host);
    const [snsSdk, sqsSdk] = await Promise.all([import('@aws-sdk/client-sns'), import('@aws-sdk/client-sqs')]);
    const sns = new snsSdk.SNSClient(client);
    const sqs = new sqsSdk.SQSClient(client);
    const [callSns, callSqs] = [awsCalls('SNS'), awsCalls('SQS')];
    const timeoutMs = settings.assetsManagementTimeoutSeconds * 1000;
    const account = settings.accountID.length === 12 ? settings.accountID : await accountOf(client, timeoutMs);
    const region = await sns.config.region();
    const partition = settings.partition || partitionOf(region);
    const entities = createEntities({ sns, sqs, snsSdk, sqsSdk, callSns, callSqs, fifo: settings.fifo, lookUpOnly: settings.disableEntityManagement, account, topicArn: (name) => `arn:${partition}:sns:${region}:${account}:${name}`, timeoutMs });
    // The runtime reads this property by its exact name.
    const consumerID = (properties.consumerID ?? '').trim() || appId;
    const group = settings.fifo ? { MessageGroupId: settings.fifoMessageGroupID || consumerID } : {};
    const hasDeadLetters = settings.sqsDeadLettersQueueName !== '';
    let consumer: QueueConsumer | undefined;
    let closed = false;
    // One after the other: two topics at once would overwrite each other's part of the queue's policy.
    let arranged: Promise<unknown> = Promise.resolve();
    const arrange = <T>(work: () => Promise<T>): Promise<T> => {
      const done = arranged.then(work);
      arranged = done.catch(() => undefined);
      return done;
    };

    return {
      publish: async ({ topic, data }, { signal }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        try {
          const TopicArn = await entities.topic(topic);
          await callSns('Publish', sns.send(new snsSdk.PublishCommand({ TopicArn, Message: textOfBytes(data), ...group }), signal ? { abortSignal: signal } : {}));
        } catch (error) {
          throw new AdapterError('unavailable', `error publishing to topic: ${topic}: ${textOf(error)}`, error);
        }
      },
      subscribe: ({ topic }, handler) =>
        arrange(async () => {
          if (closed) throw new AdapterError('invalid', 'component is closed');
          const topicArn = await entities.topic(topic).catch((error) => {
            throw prefixed(`error getting topic ARN for ${topic}`, error);
          });
          const queue = await entities.queue(consumerID).catch((error) => {
            throw prefixed('error retrieving SQS queue', error);
          });
          await entities.allow(queue, topicArn).catch((error) => {
            throw prefixed('error setting sns-sqs subscription policy', error);
          });
          if (hasDeadLetters) {
            await entities.deadLetters(queue, await entities.queue(settings.sqsDeadLettersQueueName), settings.messageReceiveLimit).catch((error) => {
              throw prefixed('error creating dead-letter queue', error);
            });
          }
          await entities.subscription(queue, topicArn).catch((error) => {
            throw prefixed(`error subscribing topic: ${topicArn}, to queue: ${queue.arn}, with error`, error);
          });
          consumer ??= createQueueConsumer({
            sqs, sdk: sqsSdk, call: callSqs, log, queue, hasDeadLetters,
            maxNumber: settings.messageMaxNumber, waitSeconds: settings.messageWaitTimeSeconds, visibilitySeconds: settings.messageVisibilityTimeout,
            retryLimit: settings.messageRetryLimit, keepAtLimit: settings.disableDeleteOnRetryLimit,
            atOnce: settings.concurrencyMode === 'single' ? 1 : settings.concurrencyLimit || Number.POSITIVE_INFINITY,
            backOff: backOffOf(settings),
          });
          return consumer.add(entityName(topic, settings.fifo), topic, handler);
        }),
      close: async () => {
        closed = true;
        await arranged;
        sns.destroy();
        sqs.destroy();
      },
    };
  },
});

/** Whose account it is; as upstream this shows at load whether the credentials are good. */
async function accountOf(client: AwsClientSettings, timeoutMs: number): Promise<string> {
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const { Account = '' } = await awsCalls('STS')('GetCallerIdentity', new STSClient(client).send(new GetCallerIdentityCommand({}), { abortSignal: AbortSignal.timeout(timeoutMs) })).catch((error) => {
    throw prefixed('error fetching sts caller ID', error);
  });
  return Account;
}

function check(settings: Metadata): void {
  const refuse = (why: string) => new MetadataError(why);
  if (settings.messageVisibilityTimeout < 1) throw refuse('messageVisibilityTimeout must be greater than 0');
  if (settings.messageRetryLimit < 2) throw refuse('messageRetryLimit must be greater than 1');
  if (settings.messageReceiveLimit > 0 !== (settings.sqsDeadLettersQueueName !== '')) throw refuse('to use SQS dead letters queue, messageReceiveLimit and sqsDeadLettersQueueName must both be set to a value');
  if (settings.sqsDeadLettersQueueName !== '' && settings.disableDeleteOnRetryLimit) throw refuse("configuration conflict: 'disableDeleteOnRetryLimit' cannot be set to 'true' when 'sqsDeadLettersQueueName' is set to a value. either remove this configuration or set 'disableDeleteOnRetryLimit' to 'false'");
  if (settings.messageWaitTimeSeconds < 1) throw refuse('messageWaitTimeSeconds must be greater than 0');
  if (settings.messageMaxNumber < 1) throw refuse('messageMaxNumber must be greater than 0');
  if (settings.messageMaxNumber > 10) throw refuse('messageMaxNumber must be less than or equal to 10');
  if (!['', 'single', 'parallel'].includes(settings.concurrencyMode)) throw refuse(`invalid concurrencyMode ${settings.concurrencyMode}`);
  if (settings.concurrencyLimit < 0) throw refuse('concurrencyLimit must be greater than or equal to 0');
  if (!['constant', 'exponential'].includes(settings.backOffPolicy)) throw refuse(`error decoding backOff config: invalid policy ${settings.backOffPolicy}`);
}

/** The pauses of Dapr's retry (github.com/dapr/kit/retry): exponential ones vary by half of themselves. */
function backOffOf({ backOffPolicy, backOffDuration, backOffInitialInterval, backOffMultiplier, backOffMaxInterval }: Metadata): (failures: number) => number {
  if (backOffPolicy === 'constant') return () => backOffDuration;
  return (failures) => Math.min(backOffMaxInterval, backOffInitialInterval * backOffMultiplier ** (failures - 1)) * (0.5 + Math.random());
}
