// pubsub.aws.snssqs against Moto: the shared suite, and what it makes of topics, queues, policies, limits and dead letters.
import { GetTopicAttributesCommand, ListSubscriptionsCommand, ListTagsForResourceCommand, SNSClient } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, GetQueueUrlCommand, ListQueueTagsCommand, ReceiveMessageCommand, SendMessageCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { collect } from '../harness/received.ts';
import { startMoto } from '../harness/servers.ts';
import { lines, openComponent } from './open.ts';
import { describePubSub } from './pubsub.ts';

const type = 'pubsub.aws.snssqs';
const account = '123456789012'; // Moto's own

describeWithServer('moto', type, () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto?.stop());
  const quick = { messageVisibilityTimeout: '1', messageWaitTimeSeconds: '1' };
  const access = (region: string) => ({ endpoint: moto.endpoint, region, accessKey: 'AKIAEXAMPLE', secretKey: 'secret', ...quick });

  describePubSub({ type, start: async () => ({ metadata: { ...access('eu-west-1'), messageVisibilityTimeout: '3' }, stop: async () => undefined }), operations: ['groups'], quirks: { unordered: true, textOnly: true, many: 10 } });

  describe('in AWS', () => {
    let sns: SNSClient, sqs: SQSClient;
    const opened: PubSub[] = [];
    beforeAll(() => {
      const client = { endpoint: moto.endpoint, region: 'us-east-1', credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } };
      [sns, sqs] = [new SNSClient(client), new SQSClient(client)];
    });
    afterAll(() => Promise.all(opened.map((port) => port.close())));
    const open = async (metadata: Record<string, string>) => {
      const { port } = await openComponent<PubSub>(type, { ...access('us-east-1'), ...metadata });
      opened.push(port);
      return port;
    };
    const urlOf = async (queue: string) => (await sqs.send(new GetQueueUrlCommand({ QueueName: queue }))).QueueUrl as string;
    const attributes = async (queue: string) => (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: await urlOf(queue), AttributeNames: ['All'] }))).Attributes ?? {};
    const publish = (port: PubSub, topic: string, text: string) => port.publish({ topic, data: new TextEncoder().encode(text), metadata: {} }, background);

    test('a topic, one queue for the app, a policy for each topic, subscriptions', async () => {
      const port = await open({ consumerID: 'my.app_1' });
      const { handler, messages } = collect<Message>();
      const subscriptions = await Promise.all(['orders/new', 'second'].map((topic) => port.subscribe({ topic, metadata: {} }, handler)));
      const [topicArn, other, queueArn] = [`arn:aws:sns:us-east-1:${account}:ordersnew`, `arn:aws:sns:us-east-1:${account}:second`, `arn:aws:sqs:us-east-1:${account}:myapp_1`];
      expect((await sns.send(new ListTagsForResourceCommand({ ResourceArn: topicArn }))).Tags).toEqual([{ Key: 'dapr-topic-name', Value: 'ordersnew' }]);
      expect((await sqs.send(new ListQueueTagsCommand({ QueueUrl: await urlOf('myapp_1') }))).Tags).toEqual({ 'dapr-queue-name': 'myapp_1' });
      const statement = (arn: string) => ({ Effect: 'Allow', Principal: { Service: 'sns.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queueArn, Condition: { ArnEquals: { 'aws:SourceArn': arn } } });
      expect(JSON.parse((await attributes('myapp_1')).Policy as string)).toEqual({ Version: '2012-10-17', Statement: [statement(topicArn), statement(other)] });
      const made = (await sns.send(new ListSubscriptionsCommand({}))).Subscriptions ?? [];
      expect(made.map(({ Protocol, Endpoint, TopicArn }) => [Protocol, Endpoint, TopicArn])).toEqual(expect.arrayContaining([['sqs', queueArn, topicArn], ['sqs', queueArn, other]]));
      await publish(port, 'orders/new', '{"a":1}');
      await expect.poll(() => messages).toEqual([{ topic: 'orders/new', data: new TextEncoder().encode('{"a":1}'), metadata: {} }]);
      await expect.poll(async () => (await attributes('myapp_1')).ApproximateNumberOfMessagesNotVisible).toBe('0'); // deleted
      await Promise.all(subscriptions.map((s) => s.close()));
    });

    test('a policy that others wrote stays, and one that is there is not written again', async () => {
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'shared' }));
      const foreign = { Sid: 'others', Effect: 'Allow', Principal: '*', Action: ['sqs:SendMessage'], Resource: '*' };
      await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy: JSON.stringify({ Version: '2008-10-17', Id: 'x', Statement: [foreign] }) } }));
      for (let i = 0; i < 2; i++) await (await (await open({ consumerID: 'shared' })).subscribe({ topic: 'policy', metadata: {} }, collect<Message>().handler)).close();
      expect(JSON.parse((await attributes('shared')).Policy as string)).toMatchObject({ Version: '2008-10-17', Id: 'x', Statement: [foreign, { Resource: `arn:aws:sqs:us-east-1:${account}:shared` }] });
    });

    test('FIFO: names, attributes, order', async () => {
      const port = await open({ consumerID: 'ordered', fifo: 'true', concurrencyMode: 'single' });
      const { handler, texts } = collect<Message>();
      const subscription = await port.subscribe({ topic: 'in-order', metadata: {} }, handler);
      expect(await attributes('ordered.fifo')).toMatchObject({ FifoQueue: 'true', ContentBasedDeduplication: 'true' });
      expect((await sns.send(new GetTopicAttributesCommand({ TopicArn: `arn:aws:sns:us-east-1:${account}:in-order.fifo` }))).Attributes).toMatchObject({ FifoTopic: 'true', ContentBasedDeduplication: 'true' });
      const all = Array.from({ length: 12 }, (_, i) => String(i));
      for (const one of all) await publish(port, 'in-order', one);
      await expect.poll(texts, { timeout: 10_000 }).toEqual(all);
      await subscription.close();
    });

    test('what fails comes again until the limit, then it is deleted', async () => {
      const port = await open({ consumerID: 'limited', messageRetryLimit: '3' });
      const { handler, messages } = collect<Message>({ refuses: () => true });
      const subscription = await port.subscribe({ topic: 'failing', metadata: {} }, handler);
      await publish(port, 'failing', 'x');
      // first the log: the two counts are asked one after the other, and between two deliveries both may say 0
      await expect.poll(() => lines.some((line) => line.includes('message received greater than 3 times, deleting this message without further processing')), { timeout: 10_000 }).toBe(true);
      await expect.poll(async () => messages.length === 2 && (await attributes('limited')).ApproximateNumberOfMessages === '0' && (await attributes('limited')).ApproximateNumberOfMessagesNotVisible === '0', { timeout: 10_000 }).toBe(true);
      await subscription.close();
    });

    test('what fails too often goes to the queue of dead letters', async () => {
      const port = await open({ consumerID: 'careful', sqsDeadLettersQueueName: 'dead', messageReceiveLimit: '2' });
      const { handler, messages } = collect<Message>({ refuses: () => true });
      const subscription = await port.subscribe({ topic: 'deadly', metadata: {} }, handler);
      expect(JSON.parse((await attributes('careful')).RedrivePolicy as string)).toEqual({ deadLetterTargetArn: `arn:aws:sqs:us-east-1:${account}:dead`, maxReceiveCount: expect.toSatisfy((count: unknown) => Number(count) === 2) });
      await publish(port, 'deadly', 'x');
      const deadLetters = async () => ((await sqs.send(new ReceiveMessageCommand({ QueueUrl: await urlOf('dead'), VisibilityTimeout: 0 }))).Messages ?? []).map(({ Body = '' }) => (JSON.parse(Body) as { Message: string }).Message);
      await expect.poll(deadLetters, { timeout: 10_000 }).toEqual(['x']);
      expect(messages).toHaveLength(2);
      await subscription.close();
    });

    test('what is no message of SNS is left where it is', async () => {
      const port = await open({ consumerID: 'odd', messageRetryLimit: '100' });
      const { handler, texts } = collect<Message>();
      const subscription = await port.subscribe({ topic: 'odd', metadata: {} }, handler);
      const before = lines.length;
      for (const MessageBody of ['no JSON', JSON.stringify({ Message: 'x', TopicArn: 'arn:aws:sns:us-east-1:1:elsewhere' })]) await sqs.send(new SendMessageCommand({ QueueUrl: await urlOf('odd'), MessageBody }));
      await expect.poll(() => lines.slice(before).filter((line) => line.includes('error while handling received message')).length, { timeout: 5000 }).toBeGreaterThanOrEqual(2);
      await publish(port, 'odd', 'good');
      await expect.poll(texts, { timeout: 5000 }).toEqual(['good']);
      await subscription.close();
    });

    test('one at a time, or as many as the limit says', async () => {
      for (const [metadata, most] of [[{ concurrencyMode: 'single' }, 1], [{ concurrencyLimit: '3' }, 3]] as const) {
        const port = await open({ consumerID: `atonce${most}`, messageVisibilityTimeout: '30', ...metadata });
        let running = 0, done = 0;
        let release = () => {};
        const released = new Promise<void>((resolve) => { release = resolve; });
        const subscription = await port.subscribe({ topic: 'busy', metadata: {} }, async () => {
          running++;
          await released;
          done++;
        });
        await Promise.all(Array.from({ length: 6 }, (_, i) => publish(port, 'busy', String(i))));
        await expect.poll(() => running, { timeout: 10_000 }).toBe(most);
        await new Promise((resolve) => setTimeout(resolve, 300));
        expect(running).toBe(most);
        release();
        await expect.poll(() => done, { timeout: 10_000 }).toBe(6);
        await subscription.close();
      }
    });

    test('disableEntityManagement: what is there is used, what is not is an error, nothing is made', async () => {
      const maker = await open({ consumerID: 'given' });
      await (await maker.subscribe({ topic: 'given', metadata: {} }, collect<Message>().handler)).close();
      const port = await open({ consumerID: 'given', disableEntityManagement: 'true' });
      const { handler, texts } = collect<Message>();
      const subscription = await port.subscribe({ topic: 'given', metadata: {} }, handler);
      await publish(port, 'given', 'x');
      await expect.poll(texts, { timeout: 5000 }).toEqual(['x']);
      await subscription.close();
      await expect(publish(port, 'not-given', 'x')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/error publishing to topic: not-given: error fetching info for \(sanitized\) topic: not-given .*NotFound/) });
      await expect((await open({ consumerID: 'nobody', disableEntityManagement: 'true' })).subscribe({ topic: 'given', metadata: {} }, handler)).rejects.toThrow(/error retrieving SQS queue: error getting the url of queue nobody/);
    });

    test.each([
      [{ messageVisibilityTimeout: '0' }, 'messageVisibilityTimeout must be greater than 0'],
      [{ messageRetryLimit: '1' }, 'messageRetryLimit must be greater than 1'],
      [{ messageReceiveLimit: '1' }, 'messageReceiveLimit and sqsDeadLettersQueueName must both be set'],
      [{ messageReceiveLimit: '1', sqsDeadLettersQueueName: 'q', disableDeleteOnRetryLimit: 'true' }, 'configuration conflict'],
      [{ messageWaitTimeSeconds: '0' }, 'messageWaitTimeSeconds must be greater than 0'],
      [{ messageMaxNumber: '11' }, 'messageMaxNumber must be less than or equal to 10'],
      [{ concurrencyMode: 'some' }, 'invalid concurrencyMode some'],
      [{ concurrencyLimit: '-1' }, 'concurrencyLimit must be greater than or equal to 0'],
    ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
      await expect(open(metadata)).rejects.toThrow(message);
    });
    test('an account that cannot be found out is an error at load; one that is given is not asked for', async () => {
      const away = { endpoint: 'http://127.0.0.1:1' };
      await expect(open(away)).rejects.toThrow(/^error fetching sts caller ID: operation error STS: GetCallerIdentity, .*connection refused$/);
      await open({ ...away, accountID: '210987654321' });
    });
  });
});
