// Where and as whom AWS is called, as settings for the SDK's clients.
import type { Host } from '../../core/host.ts';
import { MetadataError } from '../../core/metadata.ts';
import type { AwsSettings } from './fields.ts';
import { type AwsHttpHandler, createAwsHttpHandler } from './http-handler.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}
/** Fits the constructor of every client of the SDK; what is absent the SDK finds by its own rules. */
export interface AwsClientSettings {
  requestHandler: AwsHttpHandler;
  region?: string;
  endpoint?: string;
  credentials?: AwsCredentials | (() => Promise<AwsCredentials>);
}

/** Throws where no credentials can be had at all. `insecure`: certificates of the service are not checked. */
export function awsClientSettings(settings: AwsSettings, host: Host, insecure = false): AwsClientSettings {
  const { env } = host;
  const region = settings.region || env.AWS_REGION || env.AWS_DEFAULT_REGION || '';
  const base: AwsClientSettings = {
    requestHandler: createAwsHttpHandler(host.http, insecure),
    ...(region === '' ? {} : { region }),
    ...(settings.endpoint === '' ? {} : { endpoint: settings.endpoint }),
  };
  const credentials = credentialsOf(settings, host, base);
  return credentials === undefined ? base : { ...base, credentials };
}

/** Gives the credentials of the moment, for signatures that no client of the SDK makes. */
export async function awsCredentialSource(settings: AwsSettings, host: Host): Promise<() => Promise<AwsCredentials>> {
  const { STSClient } = await import('@aws-sdk/client-sts');
  // Never asked anything itself, unless a role is taken on: it knows where the SDK finds credentials and when they run out.
  return new STSClient(awsClientSettings(settings, host)).config.credentials;
}

function credentialsOf(settings: AwsSettings, host: Host, base: AwsClientSettings): AwsClientSettings['credentials'] {
  const { assumeRoleArn } = settings;
  if (assumeRoleArn !== '' && settings.trustAnchorArn !== '' && settings.trustProfileArn !== '') throw new MetadataError('IAM Roles Anywhere is not supported: it needs the SPIFFE certificate of a Dapr control plane. Use accessKey and secretKey, or a role of the environment');
  const given = pairOf(settings.accessKey, settings.secretKey, settings.sessionToken);
  if (given !== undefined) return given;
  // The environment goes first, as in the SDK for Go; in the one for JavaScript AWS_PROFILE does.
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = host.env;
  const own = pairOf(id ?? '', secret ?? '', token ?? '');
  // Files, the container's and the instance's address: all that is left needs a machine of its own.
  if (own === undefined && host.files === undefined) throw new MetadataError('no AWS credentials: set accessKey and secretKey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment');
  if (assumeRoleArn === '') return own;
  return () => assumedRole(assumeRoleArn, settings.sessionName || 'DaprDefaultSession', own === undefined ? base : { ...base, credentials: own });
}

const pairOf = (accessKeyId: string, secretAccessKey: string, sessionToken: string): AwsCredentials | undefined =>
  accessKeyId === '' || secretAccessKey === '' ? undefined : { accessKeyId, secretAccessKey, ...(sessionToken === '' ? {} : { sessionToken }) };

/** The SDK keeps them until they expire. */
async function assumedRole(RoleArn: string, RoleSessionName: string, settings: AwsClientSettings): Promise<AwsCredentials> {
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
  const { Credentials: found } = await new STSClient(settings).send(new AssumeRoleCommand({ RoleArn, RoleSessionName }));
  if (!found?.AccessKeyId || !found.SecretAccessKey) throw new Error(`the role ${RoleArn} gave no credentials`);
  return { accessKeyId: found.AccessKeyId, secretAccessKey: found.SecretAccessKey, ...(found.SessionToken ? { sessionToken: found.SessionToken } : {}), ...(found.Expiration ? { expiration: found.Expiration } : {}) };
}
