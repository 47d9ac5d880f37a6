// The AWS bindings against Moto: S3, SQS, SNS, DynamoDB, SES, each with what arrives there.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateTableCommand, DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { CreateBucketCommand, GetObjectTaggingCommand, HeadObjectCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { GetSendQuotaCommand, SESClient, VerifyEmailIdentityCommand } from '@aws-sdk/client-ses';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startMoto } from '../harness/servers.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

describeWithServer('moto', 'AWS bindings', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  const region = 'us-east-1';
  const client = () => ({ endpoint: moto.endpoint, region, credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } });
  const access = () => ({ endpoint: moto.endpoint, region, accessKey: 'AKIAEXAMPLE', secretKey: 'secret' });
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto?.stop());
  const open = async (type: string, metadata: Record<string, string>) => {
    const { port } = await openComponent<Binding>(type, { ...access(), ...metadata });
    const invoke = (operation: string, data: string | Uint8Array = '', wanted: Record<string, string> = {}) =>
      (port.invoke as NonNullable<Binding['invoke']>)({ operation, data: typeof data === 'string' ? new TextEncoder().encode(data) : data, metadata: wanted }, background);
    const json = async (...args: Parameters<typeof invoke>) => JSON.parse(new TextDecoder().decode((await invoke(...args))?.data)) as unknown;
    return { port, invoke, json };
  };

  describe('bindings.aws.s3', () => {
    const type = 'bindings.aws.s3';
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-s3-'));
    let s3: S3Client;
    const text = (result: { data: Uint8Array } | null) => new TextDecoder().decode(result?.data);
    beforeAll(async () => {
      s3 = new S3Client({ ...client(), forcePathStyle: true });
      for (const Bucket of ['suite', 'plain', 'versions', 'listing']) await s3.send(new CreateBucketCommand({ Bucket }));
      await s3.send(new PutBucketVersioningCommand({ Bucket: 'versions', VersioningConfiguration: { Status: 'Enabled' } }));
    });
    afterAll(() => rmSync(folder, { recursive: true }));
    const bucket = (name: string, more: Record<string, string> = {}) => open(type, { bucket: name, forcePathStyle: 'true', ...more });

    describeBinding({
      type,
      start: async () => ({ metadata: { ...access(), bucket: 'suite', forcePathStyle: 'true' }, stop: async () => undefined }),
      operations: ['create', 'get', 'delete', 'list', 'presign', 'bulkGet', 'bulkCreate', 'bulkDelete'],
      request: { key: 'a/b.txt' },
      quirks: { missing: 'error' },
    });

    test('create tells where the object is, and makes a name where none is given', async () => {
      const { invoke, json } = await bucket('plain');
      expect(await json('create', '"a \\"text\\""', { key: 'x/y' })).toEqual({ location: `${moto.endpoint}/plain/x/y`, versionID: null });
      expect(text(await invoke('get', '', { key: 'x/y' }))).toBe('a "text"');
      const named = await invoke('create', '{"a":1}');
      expect(named?.metadata.key).toMatch(/^[0-9a-f-]{36}$/);
      expect(text(await invoke('get', '', { key: named?.metadata.key as string }))).toBe('{"a":1}');
      expect(await (await bucket('versions')).json('create', 'v', { key: 'k' })).toEqual({ location: `${moto.endpoint}/versions/k`, versionID: expect.stringMatching(/.+/) });
    });
    test('content type, tags, storage class', async () => {
      const { invoke } = await bucket('plain', { storageClass: 'STANDARD_IA' });
      await invoke('create', '<b/>', { key: 'described', 'Content-Type': ' text/xml ', tags: 'a=1, project = x=y' });
      expect(await s3.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'described' }))).toMatchObject({ ContentType: 'text/xml', StorageClass: 'STANDARD_IA' });
      expect((await s3.send(new GetObjectTaggingCommand({ Bucket: 'plain', Key: 'described' }))).TagSet).toEqual(expect.arrayContaining([{ Key: 'a', Value: '1' }]));
      await expect(invoke('create', 'x', { key: 'k', tags: 'a=1,b' })).rejects.toThrow("s3 binding error: parsing tags failed error: invalid tag format: 'b' (expected key=value)");
    });
    test('bytes stay bytes, base64 is what it is asked to be', async () => {
      const { invoke } = await bucket('plain');
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      await invoke('create', bytes, { key: 'bytes' });
      expect(Buffer.from((await invoke('get', '', { key: 'bytes' }))?.data as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
      expect(text(await invoke('get', '', { key: 'bytes', encodeBase64: 'yes' }))).toBe(Buffer.from(bytes).toString('base64'));
      const decoding = await bucket('plain', { decodeBase64: 'true' });
      await decoding.invoke('create', '"aGVsbG8="', { key: 'decoded' });
      expect(text(await invoke('get', '', { key: 'decoded' }))).toBe('hello');
      await expect(decoding.invoke('create', 'no base64!', { key: 'decoded' })).rejects.toThrow('s3 binding error: uploading failed: ');
    });
    test('a file instead of data', async () => {
      const { invoke } = await bucket('plain');
      writeFileSync(join(folder, 'source'), 'from a file');
      await invoke('create', 'ignored', { key: 'file', filePath: join(folder, 'source') });
      expect(text(await invoke('get', '', { key: 'file' }))).toBe('from a file');
      await expect(invoke('create', '', { key: 'file', filePath: join(folder, 'none') })).rejects.toThrow('s3 binding error: file read error: ');
    });
    test('presigned addresses open the object to whoever has them', async () => {
      const { json } = await bucket('plain');
      const made = (await json('create', 'open', { key: 'shown', presignTTL: '15m' })) as { presignURL: string };
      const asked = (await json('presign', '', { key: 'shown', presignTTL: '1h30m' })) as { presignURL: string };
      for (const [{ presignURL }, seconds] of [[made, '900'], [asked, '5400']] as const) {
        expect(new URL(presignURL).searchParams.get('X-Amz-Expires')).toBe(seconds);
        expect(await (await fetch(presignURL)).text()).toBe('open');
      }
      await expect(json('presign', '', { key: 'shown' })).rejects.toThrow("s3 binding error: required metadata 'presignTTL' missing");
      await expect(json('presign', '', { key: 'shown', presignTTL: 'soon' })).rejects.toThrow('cannot parse duration soon: time: invalid duration "soon"');
    });
    test('list gives the names that the SDK for Go has', async () => {
      const { invoke, json } = await bucket('listing');
      for (const key of ['a/1', 'a/2', 'b/1', 'top']) await invoke('create', key, { key });
      expect(await json('list', '{"PREFIX":"a/","maxResults":1}')).toEqual({
        CommonPrefixes: null,
        Contents: [{ ChecksumAlgorithm: null, ChecksumType: '', ETag: expect.stringMatching(/^"[0-9a-f]{32}"$/), Key: 'a/1', LastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/), Owner: { DisplayName: expect.any(String), ID: expect.any(String) }, RestoreStatus: null, Size: 3, StorageClass: 'STANDARD' }],
        Delimiter: null,
        EncodingType: '',
        IsTruncated: true,
        Marker: null,
        MaxKeys: 1,
        Name: 'listing',
        NextMarker: expect.any(String),
        Prefix: 'a/',
        RequestCharged: '',
        ResultMetadata: {},
      });
      const keys = (listed: unknown) => ((listed as { Contents: { Key: string }[] | null }).Contents ?? []).map(({ Key }) => Key);
      expect(keys(await json('list'))).toEqual(['a/1', 'a/2', 'b/1', 'top']);
      expect(keys(await json('list', '{"marker":"a/2"}'))).toEqual(['b/1', 'top']);
      expect(await json('list', '{"delimiter":"/"}')).toMatchObject({ CommonPrefixes: [{ Prefix: 'a/' }, { Prefix: 'b/' }], Contents: [{ Key: 'top' }] });
      await expect(json('list', '{"maxResults":"all"}')).rejects.toThrow('s3 binding (List Operation) - unable to parse Data property - json: cannot unmarshal string into Go struct field listPayload.maxResults of type int');
    });
    test('many at once: what fails stands in the result', async () => {
      const { json } = await bucket('plain');
      const target = join(folder, 'target');
      expect(await json('bulkCreate', JSON.stringify({ items: [{ key: 'm/1', data: 'one', contentType: 'text/plain' }, { key: 'm/2', filePath: join(folder, 'source') }, { key: '' }, { key: 'm/3' }], concurrency: 2 }))).toEqual([
        { key: 'm/1', location: `${moto.endpoint}/plain/m/1` },
        { key: 'm/2', location: `${moto.endpoint}/plain/m/2` },
        { key: '', error: 'key is required' },
        { key: 'm/3', error: 'either data or filePath is required' },
      ]);
      expect(await json('bulkGet', JSON.stringify({ items: [{ key: 'm/1' }, { key: 'm/2', filePath: target }, { key: 'none' }] }))).toEqual([{ key: 'm/1', data: 'one' }, { key: 'm/2' }, { key: 'none', error: 'object not found' }]);
      expect(readFileSync(target, 'utf8')).toBe('from a file');
      expect(await json('bulkDelete', JSON.stringify({ keys: ['m/1', 'm/1', ' ', 'm/2', 'none'] }))).toEqual([{ key: 'm/1' }, { key: 'm/1' }, { key: ' ', error: 'key is required' }, { key: 'm/2' }, { key: 'none' }]);
      expect(await json('bulkGet', JSON.stringify({ items: [{ key: 'm/1' }] }))).toEqual([{ key: 'm/1', error: 'object not found' }]);
      await expect(json('bulkGet', '{"items":[]}')).rejects.toThrow('s3 binding error: bulkGet requires at least one item');
      await expect(json('bulkGet', '{"items":[{"key":"a"}],"concurrency":0}')).rejects.toThrow('s3 binding error: concurrency must be greater than 0, got 0');
      await expect(json('bulkDelete', '{"keys":[]}')).rejects.toThrow('s3 binding error: bulkDelete requires at least one key');
      await expect(json('bulkCreate', 'x')).rejects.toThrow('s3 binding error: invalid bulkCreate payload: ');
    });
    test('what is not there', async () => {
      const { invoke } = await bucket('plain');
      await expect(invoke('get', '', { key: 'none' })).rejects.toThrow(/^object not found$/);
      for (const operation of ['get', 'delete']) await expect(invoke(operation)).rejects.toThrow("s3 binding error: required metadata 'key' missing");
      expect(await invoke('delete', '', { key: 'none' })).toBeNull();
      await expect((await bucket('no-bucket')).invoke('create', 'x')).rejects.toThrow(/^s3 binding error: uploading failed: operation error S3: PutObject, https response error StatusCode: 404, RequestID: .*NoSuchBucket: /);
    });
  });

  describe('bindings.aws.sqs', () => {
    test('create sends; what is read is deleted when the app took it, and comes again when not', async () => {
      const sqs = new SQSClient(client());
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'jobs', Attributes: { VisibilityTimeout: '1' } }));
      const { port, invoke } = await open('bindings.aws.sqs', { queueName: 'jobs' });
      expect(port.operations).toEqual(['create']);
      expect(await invoke('create', '{"a":"ü"}')).toBeNull();
      const events: BindingEvent[] = [];
      const reading = await port.read?.(async (event) => {
        events.push(event);
        if (events.length === 1) throw new Error('the app said no');
        return undefined;
      });
      await expect.poll(() => events.length, { timeout: 10_000 }).toBe(2);
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'second' }));
      await expect.poll(() => events.length, { timeout: 10_000 }).toBe(3);
      expect(events.map(({ data, metadata }) => [new TextDecoder().decode(data), metadata])).toEqual([['{"a":"ü"}', {}], ['{"a":"ü"}', {}], ['second', {}]]);
      const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] }));
      expect(Attributes?.ApproximateNumberOfMessages).toBe('0');
      const started = Date.now();
      await reading?.close();
      expect(Date.now() - started).toBeLessThan(2000); // although a look into the queue waits for 20 s
    });
    test('a queue that is not there is an error of the call', async () => {
      await expect((await open('bindings.aws.sqs', { queueName: 'none' })).invoke('create', 'x')).rejects.toThrow(/operation error SQS: GetQueueUrl, .*(QueueDoesNotExist|NonExistentQueue)/);
    });
  });

  test('bindings.aws.sns sends message and subject', async () => {
    const [sns, sqs] = [new SNSClient(client()), new SQSClient(client())];
    const { TopicArn } = await sns.send(new CreateTopicCommand({ Name: 'notices' }));
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'notices' }));
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: `arn:aws:sqs:${region}:123456789012:notices` }));
    const { invoke } = await open('bindings.aws.sns', { topicArn: TopicArn as string });
    const sent = async (data: string) => {
      expect(await invoke('create', data)).toBeNull();
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 2 }));
      const { Message, Subject } = JSON.parse(Messages[0]?.Body as string) as { Message: string; Subject?: string };
      return [Message, Subject];
    };
    expect(await sent('{"message":"hello ü","subject":"greeting"}')).toEqual(['hello ü', 'greeting']);
    expect(await sent('{"Message":{"a":1000000}}')).toEqual(['{"a":1000000}', undefined]);
    await expect(invoke('create', '{"subject":"x"}')).rejects.toThrow('has no message');
    await expect(invoke('create', 'x')).rejects.toThrow("invalid character 'x'");
  });

  test('bindings.aws.dynamodb puts an item', async () => {
    const dynamodb = new DynamoDBClient(client());
    await dynamodb.send(new CreateTableCommand({ TableName: 'things', BillingMode: 'PAY_PER_REQUEST', KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }], AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }] }));
    const { invoke } = await open('bindings.aws.dynamodb', { table: 'things' });
    expect(await invoke('create', '{"id":"a","n":1.50,"big":12345678901234567890,"list":[true,null,"x"],"deep":{"k":{}}}')).toBeNull();
    expect((await dynamodb.send(new GetItemCommand({ TableName: 'things', Key: { id: { S: 'a' } } }))).Item).toEqual({
      id: { S: 'a' }, n: { N: expect.stringMatching(/^1\.50?$/) }, big: { N: '12345678901234567890' }, list: { L: [{ BOOL: true }, { NULL: true }, { S: 'x' }] }, deep: { M: { k: { M: {} } } },
    });
    for (const data of ['[1]', 'x', '{"n":1}']) await expect(invoke('create', data)).rejects.toThrow();
  });

  test('bindings.aws.ses sends what component and request say', async () => {
    const ses = new SESClient(client());
    await ses.send(new VerifyEmailIdentityCommand({ EmailAddress: 'me@example.com' }));
    const { invoke } = await open('bindings.aws.ses', { emailFrom: 'me@example.com', subject: 'usual', emailCc: 'c@example.com' });
    expect(await invoke('create', '"<h1>\\u00fc</h1>"', { emailTo: 'a@example.com;b@example.com', Subject: 'special' })).toBeNull();
    expect((await ses.send(new GetSendQuotaCommand({}))).SentLast24Hours).toBe(3); // receivers
    await expect(invoke('create', '"x"')).rejects.toThrow('SES binding error: emailTo property not supplied in configuration- or request-metadata');
    await expect(invoke('create', 'no quotes', { emailTo: 'a@example.com' })).rejects.toThrow("SES binding error. Can't unquote data field: invalid syntax");
    await expect(invoke('create', '"x"', { emailTo: 'a@example.com', emailFrom: 'nobody@example.com' })).rejects.toThrow(/^SES binding error\. Sending email failed: operation error SES: SendEmail, .*MessageRejected/);
  });
});
