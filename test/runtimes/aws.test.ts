// The AWS SDK on every host: the same calls through the host's own HTTP client, without Node's where there is none.
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { startMoto } from '../harness/servers.ts';
import { capabilities, type HostName, startHost } from './hosts.ts';

const region = 'eu-central-1';
const component = (name: string, type: string, metadata: Record<string, string>) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) } });

describeWithServer('moto', 'AWS on every host', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let sqs: SQSClient;
  let QueueUrl: string;
  beforeAll(async () => {
    moto = await startMoto();
    const client = { endpoint: moto.endpoint, region, credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } };
    await new SecretsManagerClient(client).send(new CreateSecretCommand({ Name: 'colour', SecretString: 'blue ü' }));
    await new S3Client({ ...client, forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: 'files', CreateBucketConfiguration: { LocationConstraint: region } }));
    await new DynamoDBClient(client).send(new CreateTableCommand({ TableName: 'table', BillingMode: 'PAY_PER_REQUEST', KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }], AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }] }));
    // what is published ends in a queue of the test's own
    const sns = new SNSClient(client);
    sqs = new SQSClient(client);
    ({ QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'seen' })));
    // the tag is Dapr's: a topic that is made again must have the same
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'news', Tags: [{ Key: 'dapr-topic-name', Value: 'news' }] }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: `arn:aws:sqs:${region}:123456789012:seen`, Attributes: { RawMessageDelivery: 'true' } }));
    await new SSMClient(client).send(new PutParameterCommand({ Name: 'shade', Value: 'dark', Type: 'SecureString' }));
  });
  afterAll(() => moto?.stop());

  test.each(Object.keys(capabilities) as HostName[])('%s', async (name) => {
    const metadata = { endpoint: moto.endpoint, region };
    const host = await startHost(name, {
      // credentials come from the environment, which on Workers are the text bindings
      env: { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' },
      resources: [component('manager', 'secretstores.aws.secretmanager', metadata), component('parameters', 'secretstores.aws.parameterstore', metadata), component('files', 'bindings.aws.s3', { ...metadata, bucket: 'files', forcePathStyle: 'true' }), component('table', 'state.aws.dynamodb', { ...metadata, table: 'table' }), component('topics', 'pubsub.aws.snssqs', metadata)].join('\n---\n'),
    });
    try {
      const secret = async (path: string) => (await fetch(`${host.http}/v1.0/secrets/${path}`)).json();
      expect(await secret('manager/colour')).toEqual({ colour: 'blue ü' });
      expect(await secret('parameters/shade')).toEqual({ shade: 'dark' });
      expect(await secret('manager/none')).toMatchObject({ errorCode: 'ERR_SECRET_GET', message: expect.stringContaining('ResourceNotFoundException') });

      const file = async (operation: string, more = {}) => (await fetch(`${host.http}/v1.0/bindings/files`, { method: 'POST', body: JSON.stringify({ operation, metadata: { key: `${name}/ü` }, ...more }) })).text();
      expect(JSON.parse(await file('create', { data: 'content ü' }))).toMatchObject({ location: `${moto.endpoint}/files/${name}/ü` });
      expect(await file('get')).toBe('content ü');
      expect(JSON.parse(await file('list'))).toMatchObject({ Name: 'files' });

      const state = `${host.http}/v1.0/state/table`;
      expect((await fetch(state, { method: 'POST', body: JSON.stringify([{ key: 'k', value: { a: 1.5 } }]) })).status).toBe(204);
      const read = await fetch(`${state}/k`);
      expect(await read.json()).toEqual({ a: 1.5 });
      expect((await fetch(`${state}/k`, { method: 'DELETE', headers: { 'If-Match': 'wrong' } })).status).toBe(409);
      expect((await fetch(`${state}/k`, { method: 'DELETE', headers: { 'If-Match': read.headers.get('etag') ?? '' } })).status).toBe(204);

      expect((await fetch(`${host.http}/v1.0/publish/topics/news?metadata.rawPayload=true`, { method: 'POST', body: `from ${name}`, headers: { 'content-type': 'text/plain' } })).status).toBe(204);
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 2 }));
      expect(Messages.map(({ Body }) => Body)).toEqual([`from ${name}`]);
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0]?.ReceiptHandle }));
    } finally {
      await host.stop();
    }
  });
});
