// secretstores.hashicorp.vault: secrets of a key/value engine of HashiCorp Vault or OpenBao, over its HTTP API.
import { AdapterError, textOf } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';
import { entriesOfData, textOfData } from '../vault/answers.ts';
import { connectVault, SecretMissing, vaultFields } from '../vault/connection.ts';

const defaultPrefix = 'dapr';

export default defineSecretStore({
  type: 'secretstores.hashicorp.vault',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['MULTIPLE_KEY_VALUES_PER_SECRET'],
  summary: 'Secrets of a key/value engine of HashiCorp Vault or OpenBao.',
  metadata: schema({
    ...vaultFields,
    vaultKVPrefix: field.text().default('').describe('Folder of the secrets in the engine; default: dapr'),
    vaultKVUsePrefix: field.flag().default(true).describe('false: no folder, names are read from the top of the engine'),
    enginePath: field.text().default('').describe('Where the key/value engine is mounted; default: secret'),
    engineVersion: field.text().default('').describe('Version of the key/value engine, 1 or 2; default: 2. Not known to Dapr, which speaks 2 only'),
    vaultValueType: field.text().default('').describe('map (default): each key of a secret is an entry. text: the whole of it, as JSON, is one entry with the name of the secret'),
  }),
  open: async (metadata, context) => {
    const { vaultValueType: valueType, engineVersion } = metadata;
    if (!['', 'map', 'text'].includes(valueType)) throw new MetadataError(`vault init error, invalid value type ${valueType}, accepted values are map or text`);
    if (!['', '1', '2'].includes(engineVersion)) throw new MetadataError(`vault init error, invalid engineVersion ${engineVersion}, accepted values are 1 or 2`);
    const vault = await connectVault(metadata, context);
    const engine = trimmed(metadata.enginePath || 'secret');
    const prefix = metadata.vaultKVUsePrefix ? trimmed(metadata.vaultKVPrefix || defaultPrefix) : '';
    const first = engineVersion === '1';
    const path = (kind: 'data' | 'metadata', name: string) => `/v1/${[engine, ...(first ? [] : [kind]), ...(prefix === '' ? [] : [prefix])].map(escapedPath).join('/')}/${escapedPath(name)}`;
    const isMap = valueType !== 'text';

    const read = async (name: string, version: string, signal: AbortSignal | undefined): Promise<Record<string, string> | null> => {
      // A server or a proxy on the way would take these for steps up, out of the folder and past the scopes.
      if (name.split('/').some((part) => part === '.' || part === '..')) throw new SecretMissing(name);
      const answer = await vault.get(path('data', name) + (first ? '' : `?version=${encodeURIComponent(version)}`), signal).catch((error) => {
        throw new AdapterError('unavailable', `couldn't get secret: ${textOf(error)}`, error);
      });
      if (answer.status === 404) throw new SecretMissing(name);
      if (answer.status !== 200) throw new AdapterError('internal', `couldn't get successful response, status code ${answer.status}, body ${answer.text}`);
      const levels = first ? ['data'] : ['data', 'data'];
      return isMap ? entriesOfData(answer.text, levels) : { [name]: textOfData(answer.text, levels) };
    };

    /** Every name below a folder of the prefix, folders entered. */
    const names = async (folder: string, signal: AbortSignal | undefined): Promise<string[]> => {
      const found: string[] = [];
      for (const key of await vault.list(path('metadata', folder), signal)) {
        if (key.endsWith('/')) found.push(...(await names(folder + key, signal)));
        else found.push(folder + key);
      }
      return found;
    };

    return {
      features: isMap ? ['MULTIPLE_KEY_VALUES_PER_SECRET'] : [],
      get: (name, { version_id: version = '0' }, { signal }) => read(name, version, signal),
      bulkGet: async ({ version_id: version = '0' }, { signal }) => {
        const all: [string, Record<string, string>][] = [];
        for (const name of await names('', signal)) {
          try {
            all.push([name, (await read(name, version, signal)) ?? {}]);
          } catch (error) {
            // deleted since it was listed, or never had this version
            if (!(error instanceof SecretMissing)) throw error;
          }
        }
        return Object.fromEntries(all);
      },
      close: () => vault.close(),
    };
  },
});

const trimmed = (path: string) => path.replace(/^\/+|\/+$/g, '');
/** Escaped so that it is one path on the wire whatever is in it. */
const escapedPath = (path: string) => path.split('/').map(encodeURIComponent).join('/');
