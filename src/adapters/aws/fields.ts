// Metadata that says where and as whom AWS is called: what all aws components share, and others that sign in with AWS IAM.
import { field } from '../../core/metadata.ts';

export const awsFields = {
  region: field.text().default('').describe('AWS region; default: AWS_REGION or AWS_DEFAULT_REGION of the environment, then the shared configuration file'),
  endpoint: field.text().default('').describe('Address of the service instead of the one of AWS: an emulator, a private endpoint'),
  accessKey: field.text().default('').describe('Access key; together with secretKey these are the credentials. Without both, the usual order: environment, IAM role for the service account, shared files, the container, the instance'),
  secretKey: field.text().default('').describe('Secret of the access key'),
  sessionToken: field.text().default('').describe('Session token of temporary credentials'),
  assumeRoleArn: field.text().default('').describe('Role to take on, with the credentials of the usual order; not looked at where accessKey and secretKey are given'),
  sessionName: field.text().default('').describe('Name of the session with that role; default: DaprDefaultSession'),
  trustAnchorArn: field.text().default('').describe('IAM Roles Anywhere, which needs the certificate of a Dapr control plane: refused here'),
  trustProfileArn: field.text().default('').describe('As trustAnchorArn'),
};
/** Old names. */
export const awsAliases = { awsRegion: 'region', assumeRoleSessionName: 'sessionName' };
/** Old names of components that are not AWS's own: all fields have a prefix there. */
export const prefixedAwsAliases = { awsRegion: 'region', awsAccessKey: 'accessKey', awsSecretKey: 'secretKey', awsSessionToken: 'sessionToken', awsIamRoleArn: 'assumeRoleArn', awsStsSessionName: 'sessionName' };

export type AwsSettings = { readonly [K in keyof typeof awsFields]: string };
