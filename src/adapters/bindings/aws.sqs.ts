// bindings.aws.sqs: messages of an AWS SQS queue.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { pause } from '../../core/pause.ts';
import { awsCalls } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

/** One look into the queue, the longest SQS allows. */
const waitSeconds = 20;
const pauseAfterFailure = 1000;

export default defineBinding({
  type: 'bindings.aws.sqs',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Sends messages to a queue of AWS SQS, and delivers what comes in one by one.',
  metadata: schema({ ...awsFields, queueName: field.text().default('').describe('Name of the queue, which must be there') }, awsAliases),
  open: async (metadata, { host, log }) => {
    const settings = awsClientSettings(metadata, host);
    const { DeleteMessageCommand, GetQueueUrlCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } = await import('@aws-sdk/client-sqs');
    const client = new SQSClient(settings);
    const call = awsCalls('SQS');
    let known: string | undefined;
    const urlOf = async (signal: AbortSignal | undefined): Promise<string> => {
      known ??= (await call('GetQueueUrl', client.send(new GetQueueUrlCommand({ QueueName: metadata.queueName }), signal ? { abortSignal: signal } : {}))).QueueUrl ?? '';
      return known;
    };
    return {
      operations: ['create'],
      invoke: async ({ data }, { signal }) => {
        const QueueUrl = await urlOf(signal);
        await call('SendMessage', client.send(new SendMessageCommand({ QueueUrl, MessageBody: textOfBytes(data) }), signal ? { abortSignal: signal } : {}));
        return null;
      },
      read: async (handler) => {
        const stop = new AbortController();
        const { signal } = stop;
        const consume = async () => {
          while (!signal.aborted) {
            try {
              const QueueUrl = await urlOf(signal);
              const { Messages = [] } = await call('ReceiveMessage', client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: waitSeconds }), { abortSignal: signal }));
              for (const { Body = '', ReceiptHandle } of Messages) {
                // An event that the app refused comes again when the visibility timeout of the queue is over.
                const taken = await handler({ data: utf8(Body), metadata: {} }, background).then(() => true, () => false);
                if (taken) await call('DeleteMessage', client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle })));
              }
            } catch (error) {
              if (signal.aborted) return;
              log.error(`unable to receive a message from queue ${JSON.stringify(metadata.queueName)}: ${textOf(error)}`);
              await pause(pauseAfterFailure, signal);
            }
          }
        };
        const consuming = consume();
        return {
          close: async () => {
            stop.abort();
            await consuming;
          },
        };
      },
      close: async () => client.destroy(),
    };
  },
});
