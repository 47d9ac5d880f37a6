// bindings.aws.kinesis against Moto: who reads which shard, where reading goes on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { CreateStreamCommand, DescribeStreamConsumerCommand, DescribeStreamCommand, KinesisClient } from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAwsHttpHandler } from '../../src/adapters/aws/http-handler.ts';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { createNodeHttpClient } from '../../src/hosts/node/http-client.ts';
import { describeWithServer } from '../harness/describe.ts';
import { type KinesisFanOutOptions, startKinesisFanOut } from '../harness/kinesis-fan-out.ts';
import { missing, startMoto } from '../harness/servers.ts';
import { openComponent } from './open.ts';

const type = 'bindings.aws.kinesis';
const region = 'us-east-1';

describeWithServer('moto', type, () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let kinesis: KinesisClient, dynamodb: DynamoDBClient;
  beforeAll(async () => {
    moto = await startMoto();
    const client = { endpoint: moto.endpoint, region, credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } };
    // its own handler speaks HTTP/2 only, which Moto does not
    const requestHandler = createAwsHttpHandler(createNodeHttpClient());
    [kinesis, dynamodb] = [new KinesisClient({ ...client, requestHandler }), new DynamoDBClient(client)];
  });
  afterAll(() => moto?.stop());

  const open = async (metadata: Record<string, string>) => (await openComponent<Binding>(type, { endpoint: moto.endpoint, region, accessKey: 'AKIAEXAMPLE', secretKey: 'secret', ...metadata })).port;
  const put = (port: Binding, data: string, partitionKey?: string) => port.invoke?.({ operation: 'create', data: new TextEncoder().encode(data), metadata: partitionKey === undefined ? {} : { partitionKey } }, background);
  const reader = async (port: Binding, fails = false) => {
    const seen: string[] = [];
    const reading = await port.read?.(async ({ data, metadata }) => {
      expect(metadata).toEqual({});
      seen.push(new TextDecoder().decode(data));
      if (fails) throw new Error('the app said no');
      return undefined;
    });
    return { seen, close: async () => void (await reading?.close()) };
  };
  const leases = async (table: string) => ((await dynamodb.send(new ScanCommand({ TableName: table }))).Items ?? []).map((item) => ({ shard: item.ShardID?.S as string, owner: item.AssignedTo?.S, until: item.LeaseTimeout?.S, checkpoint: item.Checkpoint?.S }));
  const stream = (StreamName: string, ShardCount: number) => kinesis.send(new CreateStreamCommand({ StreamName, ShardCount }));

  test.concurrent('members of a group share the shards, and reading goes on where it ended', async ({ expect }) => {
    await stream('numbers', 2);
    const metadata = { streamName: 'numbers', consumerName: 'group' };
    const [first, second] = [await open(metadata), await open(metadata)];
    const one = await reader(first);
    await expect.poll(async () => (await leases('group')).filter(({ owner }) => owner).length, { timeout: 20_000 }).toBe(2);
    const two = await reader(second, true);
    // reading begins at the newest record: until one arrives it may not have begun
    await expect.poll(async () => {
      await put(first, 'warm-up');
      return one.seen.length;
    }, { timeout: 10_000, interval: 300 }).toBeGreaterThan(3);
    const all = Array.from({ length: 10 }, (_, i) => String(i));
    for (const one of all) await put(first, one, one);
    const numbers = () => [...one.seen, ...two.seen].filter((text) => text !== 'warm-up').sort();
    await expect.poll(numbers, { timeout: 20_000 }).toEqual(all);
    const held = await leases('group');
    expect(new Set(held.map(({ owner }) => owner)).size).toBe(1);
    for (const { owner, until } of held) {
      expect(owner).toMatch(/^group-/);
      expect(Date.parse(until as string)).toBeGreaterThan(Date.now());
    }
    await two.close();
    await one.close();
    expect((await leases('group')).map(({ owner, checkpoint }) => [owner, typeof checkpoint])).toEqual([[undefined, 'string'], [undefined, 'string']]);
    await put(first, 'meanwhile');
    const later = await reader(await open(metadata));
    await expect.poll(() => later.seen, { timeout: 20_000 }).toEqual(['meanwhile']);
    await later.close();
  });

  test.concurrent('a shard that another worker has is left alone until its lease is over', async ({ expect }) => {
    await stream('taken', 1);
    const port = await open({ streamName: 'taken', consumerName: 'takers' });
    await (await reader(port)).close();
    const [lease] = await leases('takers');
    const shard = lease?.shard ?? 'shardId-000000000000';
    const until = Date.now() + 4000;
    await put(port, 'waiting');
    // with the digits of Go's time and a checkpoint before the record
    await dynamodb.send(new PutItemCommand({ TableName: 'takers', Item: { ShardID: { S: shard }, AssignedTo: { S: 'daprd' }, LeaseTimeout: { S: new Date(until).toISOString().replace('Z', '123456Z') }, Checkpoint: { S: '0' } } }));
    const { seen, close } = await reader(port);
    await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(1);
    expect(Date.now()).toBeGreaterThanOrEqual(until);
    await close();
  });

  test('what cannot be done is said', async () => {
    await expect(open({ mode: 'some' })).rejects.toThrow('aws.kinesis invalid "mode" field some');
    const port = await open({ streamName: 'none', mode: 'extended' });
    await expect(port.read?.(async () => undefined)).rejects.toThrow(/operation error Kinesis: DescribeStream, .*ResourceNotFoundException/);
    await expect(put(port, 'x')).rejects.toThrow(/operation error Kinesis: PutRecord, .*ResourceNotFoundException/);
  });

  describe('mode extended', () => {
    const services: Awaited<ReturnType<typeof startKinesisFanOut>>[] = [];
    const start = async (options?: KinesisFanOutOptions) => {
      const service = await startKinesisFanOut(moto.endpoint, options);
      services.push(service);
      return { ...service, extended: (streamName: string, consumerName: string) => open({ endpoint: service.endpoint, mode: 'extended', streamName, consumerName }) };
    };
    afterAll(() => Promise.all(services.map((service) => service.stop())));
    const consumerOf = async (StreamName: string, ConsumerName: string) => {
      const { StreamDescription } = await kinesis.send(new DescribeStreamCommand({ StreamName }));
      return kinesis.send(new DescribeStreamConsumerCommand({ StreamARN: StreamDescription?.StreamARN, ConsumerName })).then(({ ConsumerDescription }) => ConsumerDescription?.ConsumerStatus, () => undefined);
    };

    test.concurrent('records are sent over one subscription after the other, and reading goes on where it ended', async ({ expect }) => {
      const { extended, state } = await start({ sessionMs: 1500 });
      await stream('fan', 1);
      const port = await extended('fan', 'fans');
      const first = await reader(port);
      expect(await consumerOf('fan', 'fans')).toBe('ACTIVE');
      await expect.poll(() => leases('fans'), { timeout: 20_000 }).toMatchObject([{ owner: expect.stringMatching(/^fans-/), checkpoint: expect.any(String) }]);
      const all = Array.from({ length: 12 }, (_, i) => String(i));
      for (const one of all) {
        await put(port, one);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      await expect.poll(() => first.seen, { timeout: 20_000 }).toEqual(all);
      expect(state.subscriptions.length).toBeGreaterThan(1);
      expect(state.subscriptions.map(({ type }) => type).slice(1)).not.toContain('LATEST');
      await first.close();
      expect(await consumerOf('fan', 'fans')).toBeUndefined();
      await put(port, 'meanwhile');
      const second = await reader(port);
      await expect.poll(() => second.seen, { timeout: 20_000 }).toEqual(['meanwhile']);
      await second.close();
    });

    test.concurrent('what a shard was split into is read when the shard has ended', async ({ expect }) => {
      const { extended, state, splittable } = await start();
      await stream('splits', 3);
      const { split } = splittable('splits');
      const port = await extended('splits', 'splitters');
      const { seen, close } = await reader(port);
      await expect.poll(() => state.subscriptions.length, { timeout: 20_000 }).toBe(1);
      for (const one of ['1', '2', '3']) await put(port, one);
      split();
      for (const one of ['a', 'b', 'c', 'd']) await put(port, one);
      await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(7);
      expect(seen.slice(0, 3)).toEqual(['1', '2', '3']);
      expect([...seen].sort()).toEqual(['1', '2', '3', 'a', 'b', 'c', 'd']);
      expect(state.subscriptions.map(({ shard, type }) => [shard, type])).toEqual([['shardId-000000000000', 'LATEST'], ['shardId-000000000001', 'TRIM_HORIZON'], ['shardId-000000000002', 'TRIM_HORIZON']]);
      await close();
      expect((await leases('splitters')).find(({ shard }) => shard === 'shardId-000000000000')?.checkpoint).toBe('SHARD_END');
    });

    test.concurrent('another member takes over, with a registration of its own where the first took that back', async ({ expect }) => {
      const { extended, state } = await start({ keepsMs: 1000 });
      await stream('team', 1);
      const [one, two] = [await extended('team', 'members'), await extended('team', 'members')];
      const first = await reader(one);
      await expect.poll(() => state.subscriptions.length, { timeout: 20_000 }).toBe(1);
      const second = await reader(two);
      await put(one, '1');
      await expect.poll(() => first.seen, { timeout: 20_000 }).toEqual(['1']);
      await first.close();
      await put(one, '2');
      await expect.poll(() => second.seen, { timeout: 30_000 }).toEqual(['2']);
      await second.close();
      expect(await consumerOf('team', 'members')).toBeUndefined();
    }, 60_000);

    test.concurrent('a lost connection is made again, behind what came', async ({ expect }) => {
      const { extended, state, cut } = await start({ keepsMs: 1000 });
      await stream('cables', 1);
      const port = await extended('cables', 'electricians');
      const { seen, close } = await reader(port);
      await expect.poll(() => state.subscriptions.length, { timeout: 20_000 }).toBe(1);
      await put(port, '1');
      await expect.poll(() => seen, { timeout: 20_000 }).toEqual(['1']);
      cut();
      await put(port, '2');
      await expect.poll(() => seen, { timeout: 30_000 }).toEqual(['1', '2']);
      await close();
    }, 60_000);

    test.concurrent('without the right to a table every shard is read, from the newest record', async ({ expect }) => {
      const { extended, state } = await start();
      state.denied.add('DynamoDB_20120810.');
      await stream('poor', 2);
      const port = await extended('poor', 'readers');
      const { seen, close } = await reader(port);
      await expect.poll(() => state.subscriptions.length, { timeout: 20_000 }).toBe(2);
      for (let i = 0; i < 6; i++) await put(port, String(i), String(i));
      await expect.poll(() => [...seen].sort(), { timeout: 20_000 }).toEqual(['0', '1', '2', '3', '4', '5']);
      await close();
      expect(await consumerOf('poor', 'readers')).toBeUndefined();
    });

    (missing('openssl') !== undefined && process.env.CI !== 'true' ? test.skip : test.concurrent)('over TLS a subscription is HTTP/2', async ({ expect }) => {
      const folder = mkdtempSync(join(tmpdir(), 'outrigger-kinesis-'));
      const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=kinesis.test'], { stdio: 'ignore' });
      const { extended, state } = await start({ tls: { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') } });
      rmSync(folder, { recursive: true });
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      try {
        await stream('secure', 2);
        const port = await extended('secure', 'careful');
        const { seen, close } = await reader(port);
        await expect.poll(() => state.subscriptions.map(({ http }) => http), { timeout: 20_000 }).toEqual(['2.0', '2.0']);
        for (const one of ['1', '2', '3']) await put(port, one);
        await expect.poll(() => [...seen].sort(), { timeout: 20_000 }).toEqual(['1', '2', '3']);
        await close();
      } finally {
        vi.unstubAllEnvs();
      }
    });
  });
});
