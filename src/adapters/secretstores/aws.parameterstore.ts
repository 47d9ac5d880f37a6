// secretstores.aws.parameterstore: parameters of AWS Systems Manager, decrypted.
import { AdapterError } from '../../core/errors.ts';
import { field, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';
import { awsCalls, prefixed } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

export default defineSecretStore({
  type: 'secretstores.aws.parameterstore',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: [],
  summary: 'Parameters of AWS Systems Manager, decrypted.',
  metadata: schema({ ...awsFields, prefix: field.text().default('').describe('Put before the name asked for; bulk shows only parameters that begin with it, without it') }, awsAliases),
  open: async (metadata, { host }) => {
    const settings = awsClientSettings(metadata, host);
    const { DescribeParametersCommand, GetParameterCommand, SSMClient } = await import('@aws-sdk/client-ssm');
    const client = new SSMClient(settings);
    const call = awsCalls('SSM');
    const { prefix } = metadata;
    const read = async (Name: string, signal: AbortSignal | undefined) => (await call('GetParameter', client.send(new GetParameterCommand({ Name, WithDecryption: true }), signal ? { abortSignal: signal } : {}))).Parameter;
    return {
      get: async (name, { version_id: version }, { signal }) => {
        const parameter = await read(prefix + name + (version === undefined ? '' : `:${version}`), signal).catch((error) => {
          throw prefixed("couldn't get secret", error);
        });
        return parameter?.Name === undefined || parameter.Value === undefined ? {} : { [parameter.Name.slice(prefix.length)]: parameter.Value };
      },
      bulkGet: async (_metadata, { signal }) => {
        const all: [string, Record<string, string>][] = [];
        const filters = prefix === '' ? {} : { ParameterFilters: [{ Key: 'Name', Option: 'BeginsWith', Values: [prefix] }] };
        let next: string | undefined;
        do {
          const asked = new DescribeParametersCommand({ ...filters, ...(next === undefined ? {} : { NextToken: next }) });
          const page = await call('DescribeParameters', client.send(asked, signal ? { abortSignal: signal } : {})).catch((error) => {
            throw prefixed("couldn't list secrets", error);
          });
          for (const { Name = '' } of page.Parameters ?? []) {
            const parameter = await read(Name, signal).catch((error) => {
              throw new AdapterError('internal', `couldn't get secret: ${Name}`, error);
            });
            const name = Name.slice(prefix.length);
            if (parameter?.Value !== undefined) all.push([name, { [name]: parameter.Value }]);
          }
          next = page.NextToken;
        } while (next !== undefined);
        return Object.fromEntries(all);
      },
      close: async () => client.destroy(),
    };
  },
});
