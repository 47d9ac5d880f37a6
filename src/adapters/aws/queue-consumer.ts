// The one reader of an app's SQS queue, to which all its SNS topics send: takes messages, finds their handler, deletes what was handled.
import type { Message as SqsMessage, SQSClient } from '@aws-sdk/client-sqs';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import type { MessageHandler, Subscription } from '../../blocks/pubsub/port.ts';
import type { awsCalls } from './failure.ts';
import type { Queue } from './sns-sqs-entities.ts';

export interface ConsumerOptions {
  sqs: SQSClient;
  sdk: typeof import('@aws-sdk/client-sqs');
  call: ReturnType<typeof awsCalls>;
  log: Logger;
  queue: Queue;
  /** SQS moves messages away by itself. */
  hasDeadLetters: boolean;
  maxNumber: number;
  waitSeconds: number;
  visibilitySeconds: number;
  retryLimit: number;
  /** At the limit messages become visible again instead of being deleted. */
  keepAtLimit: boolean;
  /** Messages handled at once; 1: in order. */
  atOnce: number;
  /** Milliseconds to wait after the n-th failed look in a row. */
  backOff(failures: number): number;
}
export interface QueueConsumer {
  /** `name` is the name of the topic in its ARN, `topic` the one the app knows it by. */
  add(name: string, topic: string, handler: MessageHandler): Subscription;
}
interface Reader {
  topic: string;
  handler: MessageHandler;
  running: Set<Promise<void>>;
}

export function createQueueConsumer(options: ConsumerOptions): QueueConsumer {
  const { sqs, sdk, call, log, queue } = options;
  const readers = new Map<string, Reader>();
  const inHand = new Set<Promise<void>>();
  let stop: AbortController | undefined;

  const remove = async ({ ReceiptHandle }: SqsMessage): Promise<void> => {
    await call('DeleteMessage', sqs.send(new sdk.DeleteMessageCommand({ QueueUrl: queue.url, ReceiptHandle })));
  };
  /** Throws where the message is not to be handled; by then it is deleted, or left to SQS. */
  const judge = async (message: SqsMessage): Promise<void> => {
    const received = Number(message.Attributes?.ApproximateReceiveCount ?? Number.NaN);
    if (Number.isNaN(received)) throw new AdapterError('internal', 'no ApproximateReceiveCount returned with response, will not attempt further processing');
    if (options.hasDeadLetters) {
      if (received > options.retryLimit) throw new AdapterError('internal', `message received greater than ${options.retryLimit} times, this message should have been moved without further processing to the dead-letters queue`);
      return;
    }
    if (received < options.retryLimit) return;
    if (options.keepAtLimit) {
      await call('ChangeMessageVisibility', sqs.send(new sdk.ChangeMessageVisibilityCommand({ QueueUrl: queue.url, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0 })));
      return;
    }
    await remove(message);
    throw new AdapterError('internal', `message received greater than ${options.retryLimit} times, deleting this message without further processing`);
  };
  const handle = async (message: SqsMessage): Promise<void> => {
    const { Message: payload = '', TopicArn = '' } = JSON.parse(message.Body ?? '') as { Message?: string; TopicArn?: string };
    const name = TopicArn.slice(TopicArn.lastIndexOf(':') + 1);
    const reader = readers.get(name);
    if (reader === undefined) throw new AdapterError('internal', `handler for (sanitized) topic: ${name} was not found`);
    const work = (async () => {
      await reader.handler({ topic: reader.topic, data: utf8(payload), metadata: {} }, background);
      await remove(message);
    })();
    reader.running.add(work);
    await work.finally(() => reader.running.delete(work));
  };
  const takeOn = async (message: SqsMessage): Promise<void> => {
    try {
      await judge(message);
    } catch (error) {
      return log.error(`message is not valid for further processing by the handler. error is: ${textOf(error)}`);
    }
    await handle(message).catch((error) => log.error(`error while handling received message. error is: ${textOf(error)}`));
  };

  const consume = async (signal: AbortSignal): Promise<void> => {
    const asked = new sdk.ReceiveMessageCommand({ QueueUrl: queue.url, AttributeNames: ['All'], MaxNumberOfMessages: options.maxNumber, VisibilityTimeout: options.visibilitySeconds, WaitTimeSeconds: options.waitSeconds });
    for (let failures = 0; !signal.aborted; ) {
      let messages: SqsMessage[];
      try {
        messages = (await call('ReceiveMessage', sqs.send(asked, { abortSignal: signal }))).Messages ?? [];
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        log.error(`error consuming from queue arn: ${queue.arn} with error: ${textOf(error)}. retrying...`);
        await pause(options.backOff(++failures), signal);
        continue;
      }
      for (const message of messages) {
        // What is taken but not begun comes back when its visibility timeout is over.
        if (signal.aborted) return;
        const work = takeOn(message).finally(() => inHand.delete(work));
        inHand.add(work);
        while (inHand.size >= options.atOnce) await Promise.race(inHand);
      }
    }
  };

  return {
    add: (name, topic, handler) => {
      const reader: Reader = { topic, handler, running: new Set() };
      readers.set(name, reader);
      if (stop === undefined) {
        stop = new AbortController();
        void consume(stop.signal);
      }
      return {
        close: async () => {
          if (readers.get(name) === reader) readers.delete(name);
          if (readers.size === 0) {
            stop?.abort();
            stop = undefined;
          }
          await Promise.allSettled(reader.running);
        },
      };
    },
  };
}
