// The AWS SDK on every host: the same calls through the host's own HTTP client, without Node's where there is none.
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
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
  beforeAll(async () => {
    moto = await startMoto();
    const client = { endpoint: moto.endpoint, region, credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } };
    await new SecretsManagerClient(client).send(new CreateSecretCommand({ Name: 'colour', SecretString: 'blue ü' }));
    await new SSMClient(client).send(new PutParameterCommand({ Name: 'shade', Value: 'dark', Type: 'SecureString' }));
  });
  afterAll(() => moto?.stop());

  test.each(Object.keys(capabilities) as HostName[])('%s', async (name) => {
    const metadata = { endpoint: moto.endpoint, region };
    const host = await startHost(name, {
      // credentials come from the environment, which on Workers are the text bindings
      env: { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' },
      resources: [component('manager', 'secretstores.aws.secretmanager', metadata), component('parameters', 'secretstores.aws.parameterstore', metadata)].join('\n---\n'),
    });
    try {
      const secret = async (path: string) => (await fetch(`${host.http}/v1.0/secrets/${path}`)).json();
      expect(await secret('manager/colour')).toEqual({ colour: 'blue ü' });
      expect(await secret('parameters/shade')).toEqual({ shade: 'dark' });
      expect(await secret('manager/none')).toMatchObject({ errorCode: 'ERR_SECRET_GET', message: expect.stringContaining('ResourceNotFoundException') });
    } finally {
      await host.stop();
    }
  });
});
