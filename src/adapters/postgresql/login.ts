// Passwords that PostgreSQL in a cloud takes instead of a fixed one, made anew for each connection: tokens of Microsoft Entra ID and of AWS IAM (upstream: common/authentication/postgresql, common/aws/postgres.go).
import { textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { AwsSettings } from '../aws/fields.ts';
import { presignedUrl } from '../aws/presigned-url.ts';
import { type AwsCredentials, awsCredentialSource } from '../aws/settings.ts';
import { azureCloud } from '../azure/cloud.ts';
import { entraCredential } from '../azure/entra-credential.ts';
import type { EntraSettings } from '../azure/entra-settings.ts';

export type PasswordSource = () => Promise<string>;

/** Nothing is asked for yet. Rejects where no way to tokens is set up. */
export async function entraPassword(settings: EntraSettings, host: Host, log: Logger): Promise<PasswordSource> {
  const credential = await entraCredential(settings, host, log);
  const scope = `${azureCloud(settings.azureEnvironment).database}/.default`;
  return async () => (await credential.token(scope)).token;
}

export interface RdsServer {
  /** As the certificate of the server and AWS name it. */
  host: string;
  port: number;
  user: string;
}

/** Rejects where no credentials can be had at all. */
export async function rdsPassword(server: RdsServer, settings: AwsSettings, host: Host): Promise<PasswordSource> {
  const credentials = await awsCredentialSource(settings, host);
  return async () => {
    try {
      return await rdsToken(server, settings.region, await credentials(), Date.now());
    } catch (error) {
      throw new Error(`failed to create AWS authentication token: ${textOf(error)}`, { cause: error });
    }
  };
}

/** Good for 15 minutes from `now`, which is milliseconds since 1970 (Amazon RDS User Guide, "IAM database authentication"). */
export async function rdsToken({ host, port, user }: RdsServer, region: string, credentials: AwsCredentials, now: number): Promise<string> {
  const url = await presignedUrl({ host: `${host}:${port}`, path: '/', query: { Action: 'connect', DBUser: user }, service: 'rds-db', region, expiresSeconds: 900 }, credentials, now);
  return url.slice('https://'.length);
}
