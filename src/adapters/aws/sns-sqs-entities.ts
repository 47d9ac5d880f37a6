// The topics, queues and subscriptions of pubsub.aws.snssqs: looked up or made, each once.
import type { SNSClient } from '@aws-sdk/client-sns';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { prefixed, type awsCalls } from './failure.ts';
import { entityName } from './entity-names.ts';
import { withTopicAllowed } from './queue-policy.ts';

export interface Queue {
  readonly arn: string;
  readonly url: string;
}
export interface EntityOptions {
  sns: SNSClient;
  sqs: SQSClient;
  snsSdk: typeof import('@aws-sdk/client-sns');
  sqsSdk: typeof import('@aws-sdk/client-sqs');
  callSns: ReturnType<typeof awsCalls>;
  callSqs: ReturnType<typeof awsCalls>;
  fifo: boolean;
  /** Nothing is made, everything must be there. */
  lookUpOnly: boolean;
  account: string;
  /** ARN of a topic by its name. */
  topicArn(name: string): string;
  /** Milliseconds one call may take. */
  timeoutMs: number;
}
export interface Entities {
  /** ARN of the topic. */
  topic(name: string): Promise<string>;
  queue(name: string): Promise<Queue>;
  /** Lets the topic send to the queue. */
  allow(queue: Queue, topicArn: string): Promise<void>;
  /** What was received too often goes there. */
  deadLetters(queue: Queue, dead: Queue, receiveLimit: number): Promise<void>;
  subscription(queue: Queue, topicArn: string): Promise<void>;
}

export function createEntities({ sns, sqs, snsSdk, sqsSdk, callSns, callSqs, fifo, lookUpOnly, account, topicArn, timeoutMs }: EntityOptions): Entities {
  const limit = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) });
  const fifoAttributes = (kind: 'FifoTopic' | 'FifoQueue') => (fifo ? { Attributes: { [kind]: 'true', ContentBasedDeduplication: 'true' } } : {});
  const because = (what: string) => (error: unknown) => {
    throw prefixed(what, error);
  };

  const makeTopic = async (name: string): Promise<string> => {
    const made = await callSns('CreateTopic', sns.send(new snsSdk.CreateTopicCommand({ Name: name, Tags: [{ Key: 'dapr-topic-name', Value: name }], ...fifoAttributes('FifoTopic') }), limit())).catch(because(`error creating new (sanitized) topic '${name}': error while creating an SNS topic`));
    return made.TopicArn ?? '';
  };
  const findTopic = async (name: string): Promise<string> => {
    const arn = topicArn(name);
    const found = await callSns('GetTopicAttributes', sns.send(new snsSdk.GetTopicAttributesCommand({ TopicArn: arn }), limit())).catch(because(`error fetching info for (sanitized) topic: ${name} with arn: ${arn}`));
    return found.Attributes?.TopicArn ?? arn;
  };
  const queueAt = async (url: string): Promise<Queue> => {
    const { Attributes } = await callSqs('GetQueueAttributes', sqs.send(new sqsSdk.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }), limit()));
    return { url, arn: Attributes?.QueueArn ?? '' };
  };
  const makeQueue = async (name: string): Promise<Queue> => {
    const made = await callSqs('CreateQueue', sqs.send(new sqsSdk.CreateQueueCommand({ QueueName: name, tags: { 'dapr-queue-name': name }, ...fifoAttributes('FifoQueue') }), limit())).catch(because('error creating an SQS queue'));
    return queueAt(made.QueueUrl ?? '');
  };
  const findQueue = async (name: string): Promise<Queue> => {
    const found = await callSqs('GetQueueUrl', sqs.send(new sqsSdk.GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account }), limit())).catch(because(`error getting the url of queue ${name}`));
    return queueAt(found.QueueUrl ?? '');
  };
  const subscribe = async (queue: Queue, arn: string): Promise<void> => {
    if (!lookUpOnly) {
      // idempotent: one subscription per topic and queue
      await callSns('Subscribe', sns.send(new snsSdk.SubscribeCommand({ TopicArn: arn, Protocol: 'sqs', Endpoint: queue.arn }), limit())).catch(because(`error subscribing to sns topic arn: ${arn}, to queue arn: ${queue.arn}`));
      return;
    }
    const { Subscriptions = [] } = await callSns('ListSubscriptionsByTopic', sns.send(new snsSdk.ListSubscriptionsByTopicCommand({ TopicArn: arn }), limit())).catch(because(`error listing subscriptions for topic arn: ${arn}`));
    if (!Subscriptions.some(({ TopicArn }) => TopicArn === arn)) throw new Error(`sns sqs subscription not found for topic arn ${arn}`);
  };

  const topic = once(lookUpOnly ? findTopic : makeTopic);
  const queue = once(lookUpOnly ? findQueue : makeQueue);
  const subscriptions = new Map<string, Promise<void>>();
  return {
    topic: (name) => topic(entityName(name, fifo)),
    queue: (name) => queue(entityName(name, fifo)),
    allow: async (to, arn) => {
      if (lookUpOnly) return;
      const { Attributes } = await callSqs('GetQueueAttributes', sqs.send(new sqsSdk.GetQueueAttributesCommand({ QueueUrl: to.url, AttributeNames: ['Policy'] }), limit()));
      const policy = withTopicAllowed(Attributes?.Policy, to.arn, arn);
      if (policy !== undefined) await callSqs('SetQueueAttributes', sqs.send(new sqsSdk.SetQueueAttributesCommand({ QueueUrl: to.url, Attributes: { Policy: policy } }), limit())).catch(because('error setting queue subscription policy'));
    },
    deadLetters: async (of, dead, receiveLimit) => {
      if (lookUpOnly) return;
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: String(receiveLimit) });
      await callSqs('SetQueueAttributes', sqs.send(new sqsSdk.SetQueueAttributesCommand({ QueueUrl: of.url, Attributes: { RedrivePolicy } }), limit())).catch(because('error updating queue attributes with dead-letter queue'));
    },
    subscription: (to, arn) => remembered(subscriptions, `${to.arn}:${arn}`, () => subscribe(to, arn)),
  };
}

/** The result of the first call for a name; a failure is forgotten. */
function once<T>(work: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (name) => remembered(known, name, () => work(name));
}
function remembered<T>(known: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  let found = known.get(name);
  if (found === undefined) {
    found = work();
    known.set(name, found);
    found.catch(() => known.delete(name));
  }
  return found;
}
