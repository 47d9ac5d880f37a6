import { createHash, createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Host } from '../../core/host.ts';
import { mskToken, mskTokenSource } from './msk-tokens.ts';

const credentials = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret/+', sessionToken: 'to+ken==' };
const urlOf = (token: string) => new URL(Buffer.from(token, 'base64url').toString());

test('a token is a signed URL that asks to connect', async () => {
  const token = await mskToken('eu-west-1', credentials, Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  expect(token).toMatch(/^[\w-]+$/);
  const url = urlOf(token);
  expect(url.origin + url.pathname).toBe('https://kafka.eu-west-1.amazonaws.com/');
  const signature = url.searchParams.get('X-Amz-Signature');
  expect(Object.fromEntries(url.searchParams)).toEqual({
    Action: 'kafka-cluster:Connect', 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256', 'X-Amz-Credential': 'AKIAEXAMPLE/20260102/eu-west-1/kafka-cluster/aws4_request',
    'X-Amz-Date': '20260102T030405Z', 'X-Amz-Expires': '900', 'X-Amz-Security-Token': 'to+ken==', 'X-Amz-SignedHeaders': 'host', 'X-Amz-Signature': signature, 'User-Agent': 'outrigger',
  });
  // What the broker does with it: the request as it stands without signature and user agent, signed anew.
  const query = url.search.slice(1).split('&').filter((part) => !/^(X-Amz-Signature|User-Agent)=/.test(part));
  expect(query).toEqual([...query].sort());
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const request = `GET\n/\n${query.join('&')}\nhost:kafka.eu-west-1.amazonaws.com\n\nhost\n${sha256('')}`;
  const key = ['20260102', 'eu-west-1', 'kafka-cluster', 'aws4_request'].reduce<Buffer>((key, part) => createHmac('sha256', key).update(part).digest(), Buffer.from('AWS4secret/+'));
  expect(signature).toBe(createHmac('sha256', key).update(`AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/eu-west-1/kafka-cluster/aws4_request\n${sha256(request)}`).digest('hex'));
});

const settings = { region: 'us-east-1', endpoint: '', accessKey: '', secretKey: '', sessionToken: '', assumeRoleArn: '', sessionName: '', trustAnchorArn: '', trustProfileArn: '' };
const host = (env: Record<string, string>, send: Host['http']['send'] = async () => { throw new Error('nobody is asked'); }) => ({ env, http: { send }, files: {} }) as unknown as Host;
const keyOf = (token: string) => urlOf(token).searchParams.get('X-Amz-Credential')?.split('/')[0];

test('credentials of the component, of the environment, of a role', async () => {
  expect(keyOf(await (await mskTokenSource({ ...settings, accessKey: 'MINE', secretKey: 's' }, host({ AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's' })))())).toBe('MINE');
  expect(keyOf(await (await mskTokenSource(settings, host({ AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's' })))())).toBe('ENV');
  const asked: string[] = [];
  // The role's credentials are nearly over each time: they are asked for again.
  const sts = host({ AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's' }, async ({ body }) => {
    asked.push(new TextDecoder().decode(body as Uint8Array));
    const answer = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ROLE${asked.length}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${new Date(Date.now() + 1000).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;
    return { status: 200, headers: ['content-type', 'text/xml'], body: new TextEncoder().encode(answer) };
  });
  const token = await mskTokenSource({ ...settings, assumeRoleArn: 'arn:aws:iam::123456789012:role/r', sessionName: 'me' }, sts);
  const [first, second] = [keyOf(await token()), keyOf(await token())];
  expect(first).toMatch(/^ROLE\d$/);
  expect(second).not.toBe(first);
  expect(asked[0]).toContain('RoleSessionName=me');
});
test('no credentials', async () => {
  await expect(mskTokenSource({ ...settings, assumeRoleArn: 'arn:aws:iam::123456789012:role/r' }, host({ AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's' }))).rejects.toMatchObject({
    kind: 'unavailable', message: 'failed to get latest Kafka clients for initialization: failed to get AWS IAM Kafka clients: error validating iam credentials nobody is asked',
  });
});
