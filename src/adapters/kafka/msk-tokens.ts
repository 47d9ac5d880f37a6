// Tokens for brokers of Amazon MSK with IAM: a signed URL that asks to connect, in base64 (aws/aws-msk-iam-sasl-signer-go; components-contrib/common/component/kafka/aws.go).
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { AwsSettings } from '../aws/fields.ts';
import { presignedUrl } from '../aws/presigned-url.ts';
import { type AwsCredentials, awsCredentialSource } from '../aws/settings.ts';

const expiresSeconds = 900;

/** `now`: milliseconds since 1970. */
export async function mskToken(region: string, credentials: AwsCredentials, now: number): Promise<string> {
  const url = await presignedUrl({ host: `kafka.${region}.amazonaws.com`, path: '/', query: { Action: 'kafka-cluster:Connect' }, service: 'kafka-cluster', region, expiresSeconds }, credentials, now);
  return btoa(`${url}&User-Agent=outrigger`).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Gives a token for each connection, with the credentials of the moment. Rejects at once where there are none. */
export async function mskTokenSource(settings: AwsSettings, host: Host): Promise<() => Promise<string>> {
  const credentials = await awsCredentialSource(settings, host);
  const token = async () => mskToken(settings.region, await credentials(), Date.now());
  await token().catch((error) => { throw new AdapterError('unavailable', `failed to get latest Kafka clients for initialization: failed to get AWS IAM Kafka clients: error validating iam credentials ${textOf(error)}`, error); });
  return token;
}
