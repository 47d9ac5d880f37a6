// The AWS secret stores against Moto: versions, several entries, prefixes, errors, credentials.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SecretStore } from '../../src/blocks/secrets/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startMoto } from '../harness/servers.ts';
import { openComponent } from './open.ts';
import { describeSecretStore } from './secretstores.ts';

const manager = 'secretstores.aws.secretmanager';
const parameters = 'secretstores.aws.parameterstore';
const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' };

describeWithServer('moto', 'AWS secret stores', () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto?.stop());
  /** Each region of Moto is a store of its own. */
  const access = (region: string) => ({ endpoint: moto.endpoint, region, accessKey: 'AKIAEXAMPLE', secretKey: 'secret' });
  const secretsIn = (region: string) => {
    const client = new SecretsManagerClient({ endpoint: moto.endpoint, region, credentials });
    return {
      create: (Name: string, value: string | Uint8Array) => client.send(new CreateSecretCommand({ Name, ...(typeof value === 'string' ? { SecretString: value } : { SecretBinary: value }) })),
      change: (SecretId: string, SecretString: string) => client.send(new PutSecretValueCommand({ SecretId, SecretString })),
    };
  };
  const put = async (region: string, values: Record<string, string>) => {
    const client = new SSMClient({ endpoint: moto.endpoint, region, credentials });
    for (const [Name, Value] of Object.entries(values)) await client.send(new PutParameterCommand({ Name, Value, Type: 'SecureString', Overwrite: true }));
  };
  const open = async (type: string, metadata: Record<string, string>) => (await openComponent<SecretStore>(type, metadata)).port;

  describeSecretStore({
    type: manager,
    start: async () => {
      const { create } = secretsIn('eu-west-1');
      const secrets = { Plain: 'ü<&>', 'folder/one': '{"a":1}', last: 'x' };
      for (const [name, value] of Object.entries(secrets)) await create(name, value);
      return { metadata: access('eu-west-1'), secrets: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, { [name]: value }])), stop: async () => undefined };
    },
    operations: ['bulk'],
    quirks: { missing: /^couldn't get secret: operation error Secrets Manager: GetSecretValue, https response error StatusCode: 4\d\d, RequestID: .*, ResourceNotFoundException: Secrets Manager can't find the specified secret/ },
  });
  describeSecretStore({
    type: manager,
    title: `${manager} with several entries`,
    start: async () => {
      const { create } = secretsIn('eu-west-2');
      await create('Database', '{"user":"u","port":5432,"deep":{"b":1,"a":"<"},"big":12345678901234567890}');
      await create('text', 'no JSON');
      await create('list', '[1]');
      const secrets = { Database: { user: 'u', port: '5432', deep: '{"a":"\\u003c","b":1}', big: '12345678901234567890' }, text: { text: 'no JSON' }, list: { list: '[1]' } };
      return { metadata: { ...access('eu-west-2'), multipleKeyValuesPerSecret: 'true' }, secrets, stop: async () => undefined };
    },
    operations: ['bulk', 'multipleValues'],
    quirks: { missing: /ResourceNotFoundException/ },
  });
  describeSecretStore({
    type: parameters,
    title: `${parameters} with a prefix`,
    start: async () => {
      await put('eu-west-1', { '/app/Password': 'ü<&>', '/app/folder/one': '1', '/other/hidden': 'x' });
      return { metadata: { ...access('eu-west-1'), prefix: '/app/' }, secrets: { Password: { Password: 'ü<&>' }, 'folder/one': { 'folder/one': '1' } }, stop: async () => undefined };
    },
    operations: ['bulk'],
    quirks: { missing: /^couldn't get secret: operation error SSM: GetParameter, https response error StatusCode: 400, RequestID: .*, ParameterNotFound: / },
  });

  test('a version of a secret is asked for by id or stage', async () => {
    const { create, change } = secretsIn('us-east-1');
    const first = await create('changing', 'one');
    await change('changing', 'two');
    const store = await open(manager, access('us-east-1'));
    expect(await store.get('changing', {}, background)).toEqual({ changing: 'two' });
    expect(await store.get('changing', { version_stage: 'AWSPREVIOUS' }, background)).toEqual({ changing: 'one' });
    expect(await store.get('changing', { version_id: first.VersionId as string }, background)).toEqual({ changing: 'one' });
    await expect(store.get('changing', { version_stage: 'NONE' }, background)).rejects.toThrow(/couldn't get secret/);
  });
  test('the answer has the name of the secret, also where it was asked for by ARN; a binary one is empty', async () => {
    const { create } = secretsIn('us-east-2');
    const { ARN } = await create('named', 'v');
    await create('bytes', new Uint8Array([1, 2]));
    const store = await open('secretstores.aws.secretmanager', access('us-east-2'));
    expect(await store.get(ARN as string, {}, background)).toEqual({ named: 'v' });
    expect(await store.get('bytes', {}, background)).toEqual({});
  });
  test('bulk goes on to the last page', async () => {
    const { create } = secretsIn('us-west-1');
    const names = Array.from({ length: 101 }, (_, i) => `s${i}`);
    await Promise.all(names.map((name) => create(name, name)));
    expect(Object.keys((await (await open(manager, access('us-west-1'))).bulkGet({}, background)) ?? {}).sort()).toEqual(names.sort());
    const few = names.slice(0, 12);
    await put('us-west-1', Object.fromEntries(few.map((name) => [name, name])));
    expect(Object.keys((await (await open(parameters, access('us-west-1'))).bulkGet({}, background)) ?? {}).sort()).toEqual(few);
  });
  test('a version of a parameter is asked for by number', async () => {
    await put('us-east-1', { changing: 'one' });
    await put('us-east-1', { changing: 'two' });
    const store = await open(parameters, access('us-east-1'));
    expect(await store.get('changing', {}, background)).toEqual({ changing: 'two' });
    expect(await store.get('changing', { version_id: '1' }, background)).toEqual({ changing: 'one' });
  });

  test('credentials: of the environment, of a role', async () => {
    const { create } = secretsIn('ap-south-1');
    await create('here', 'v');
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'ap-south-1' });
    try {
      expect(await (await open(manager, { endpoint: moto.endpoint })).get('here', {}, background)).toEqual({ here: 'v' });
      const role = await open(manager, { endpoint: moto.endpoint, assumeRoleArn: 'arn:aws:iam::123456789012:role/reader', sessionName: 'mine' });
      expect(await role.get('here', {}, background)).toEqual({ here: 'v' });
    } finally {
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION']) delete process.env[name];
    }
    await expect(open(manager, { ...access('ap-south-1'), assumeRoleArn: 'a', trustAnchorArn: 'b', trustProfileArn: 'c' })).rejects.toThrow('IAM Roles Anywhere is not supported');
  });
  test('credentials: of a service account (IRSA), of a profile in the shared files', async () => {
    const { create } = secretsIn('ap-south-2');
    await create('here', 'v');
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-aws-'));
    writeFileSync(join(folder, 'token'), 'a token of Kubernetes');
    writeFileSync(join(folder, 'credentials'), '[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = secret\n');
    writeFileSync(join(folder, 'config'), '[profile other]\nregion = ap-south-2\n');
    const read = async (metadata: Record<string, string>) => (await open(manager, { endpoint: moto.endpoint, ...metadata })).get('here', {}, background);
    const account = { AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/pod', AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'), AWS_ENDPOINT_URL_STS: moto.endpoint };
    const profile = { AWS_PROFILE: 'other', AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'), AWS_CONFIG_FILE: join(folder, 'config') };
    for (const [variables, metadata] of [[account, { region: 'ap-south-2' }], [profile, {}]] as [Record<string, string>, Record<string, string>][]) {
      Object.assign(process.env, variables);
      try {
        expect(await read(metadata)).toEqual({ here: 'v' });
      } finally {
        for (const name of Object.keys(variables)) delete process.env[name];
      }
    }
    rmSync(folder, { recursive: true });
  });
  test('a service that is not there', async () => {
    const store = await open(manager, { ...access('eu-west-1'), endpoint: 'http://127.0.0.1:1' });
    await expect(store.get('x', {}, background)).rejects.toThrow(/^couldn't get secret: operation error Secrets Manager: GetSecretValue, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post "http:\/\/127\.0\.0\.1:1\/": dial tcp 127\.0\.0\.1:1: connect: connection refused$/);
  });
});
