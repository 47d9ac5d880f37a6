// secretstores.aws.secretmanager: secrets of AWS Secrets Manager.
import { AdapterError } from '../../core/errors.ts';
import { entriesOf, parseExact, printExact } from '../../core/json-exact.ts';
import { parseWhole } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';
import { awsCalls, prefixed } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

export default defineSecretStore({
  type: 'secretstores.aws.secretmanager',
  // The name that Dapr's own description of the component has.
  aliases: ['secretstores.aws.secretsmanager'],
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['MULTIPLE_KEY_VALUES_PER_SECRET'],
  summary: 'Secrets of AWS Secrets Manager.',
  metadata: schema(
    {
      ...awsFields,
      multipleKeyValuesPerSecret: field.flag().default(false).describe('Secrets that are JSON objects have an entry for each key, instead of one with the name of the secret'),
    },
    awsAliases,
  ),
  open: async (metadata, { host }) => {
    const settings = awsClientSettings(metadata, host);
    const { GetSecretValueCommand, ListSecretsCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
    const client = new SecretsManagerClient(settings);
    const call = awsCalls('Secrets Manager');
    const multiple = metadata.multipleKeyValuesPerSecret;
    const entries = ({ Name, SecretString }: { Name?: string | undefined; SecretString?: string | undefined }): Record<string, string> => {
      if (Name === undefined || SecretString === undefined) return {}; // a binary secret has no text
      return (multiple ? objectOf(SecretString) : undefined) ?? { [Name]: SecretString };
    };
    return {
      features: multiple ? ['MULTIPLE_KEY_VALUES_PER_SECRET'] : [],
      get: async (name, { version_id: VersionId, version_stage: VersionStage }, { signal }) => {
        const asked = new GetSecretValueCommand({ SecretId: name, ...(VersionId === undefined ? {} : { VersionId }), ...(VersionStage === undefined ? {} : { VersionStage }) });
        return entries(await call('GetSecretValue', client.send(asked, signal ? { abortSignal: signal } : {})).catch((error) => {
          throw prefixed("couldn't get secret", error);
        }));
      },
      bulkGet: async (_metadata, { signal }) => {
        const options = signal ? { abortSignal: signal } : {};
        const all: [string, Record<string, string>][] = [];
        let next: string | undefined;
        do {
          const page = await call('ListSecrets', client.send(new ListSecretsCommand(next === undefined ? {} : { NextToken: next }), options)).catch((error) => {
            throw prefixed("couldn't list secrets", error);
          });
          for (const { Name = '' } of page.SecretList ?? []) {
            const secret = await call('GetSecretValue', client.send(new GetSecretValueCommand({ SecretId: Name }), options)).catch((error) => {
              throw new AdapterError('internal', `couldn't get secret: ${Name}`, error);
            });
            all.push([Name, entries(secret)]);
          }
          next = page.NextToken;
        } while (next !== undefined);
        return Object.fromEntries(all);
      },
      close: async () => client.destroy(),
    };
  },
});

/** Keys and values of a JSON object, values that are no texts as JSON; undefined for anything else. */
function objectOf(text: string): Record<string, string> | undefined {
  try {
    parseWhole(text);
  } catch {
    return undefined;
  }
  const value = parseExact(text) ?? null;
  if (value === null) return {}; // what Go makes of `null` in a map
  const entries = entriesOf(value);
  return entries && Object.fromEntries(entries.map(([key, inner]) => [key, typeof inner === 'string' ? inner : printExact(inner)]));
}
