// secretstores.local.file: a JSON file of secrets, read once; nested objects become flat names.
import { AdapterError } from '../../core/errors.ts';
import { parseWhole, textOfBytes } from '../../core/go-json.ts';
import { Digits, type Exact, parseExact } from '../../core/json-exact.ts';
import { field, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';

type Leaves = Map<string, string>;

export default defineSecretStore({
  type: 'secretstores.local.file',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['MULTIPLE_KEY_VALUES_PER_SECRET'],
  summary: 'Secrets in a local JSON file, for development; read once when the sidecar starts.',
  metadata: schema({
    secretsFile: field.text().default('').describe('Path of the JSON file; a relative one starts where the sidecar was started. Required.'),
    nestedSeparator: field.text().default(':').describe('Joins the levels of nested objects and lists to one name.'),
    multiValued: field.flag().default(false).describe('Each name at the top is one secret with several entries, instead of every leaf being a secret of its own.'),
  }),
  open: async ({ secretsFile, nestedSeparator, multiValued }, { host }) => {
    if (secretsFile === '') throw new Error('missing local secrets file in metadata');
    if (!host.files) throw new Error('this runtime has no files');
    const separator = nestedSeparator || ':';
    const content = readObject(textOfBytes(await host.files.read(host.files.resolve(secretsFile))));
    const secrets = new Map<string, Leaves>();
    if (multiValued) {
      // upstream passes over numbers, booleans and lists at the top
      for (const [name, value] of content) {
        if (typeof value === 'string') secrets.set(name, new Map([[name, value]]));
        else if (isObject(value)) secrets.set(name, flatten(entriesOf(value), separator));
      }
    } else for (const [name, value] of flatten(content, separator)) secrets.set(name, new Map([[name, value]]));
    return {
      features: multiValued ? ['MULTIPLE_KEY_VALUES_PER_SECRET'] : [],
      get: async (name) => {
        const secret = secrets.get(name);
        if (!secret) throw new AdapterError('invalid', `secret ${name} not found`);
        return Object.fromEntries(secret);
      },
      bulkGet: async () => Object.fromEntries([...secrets].map(([name, secret]) => [name, Object.fromEntries(secret)])),
      close: async () => {},
    };
  },
});

type Entries = readonly (readonly [string, Exact])[];

function readObject(text: string): Entries {
  const json = text.replace(/^\ufeff/, '');
  parseWhole(json); // throws with what is wrong
  const value = parseExact(json) ?? null;
  if (value === null) return [];
  if (!isObject(value)) throw new Error('the secrets file must hold a JSON object');
  return entriesOf(value);
}
const isObject = (value: Exact): boolean => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits);
const entriesOf = (value: Exact): Entries => (value instanceof Map ? [...(value as ReadonlyMap<string, Exact>)] : Object.entries(value as Record<string, Exact>));

/** Every leaf under its path. Upstream stops silently where two paths make one name, which loses secrets; here that is an error. */
function flatten(entries: Entries, separator: string): Leaves {
  const leaves: Leaves = new Map();
  const visit = (path: string, value: Exact): void => {
    if (Array.isArray(value)) for (const [i, inner] of (value as readonly Exact[]).entries()) visit(path + separator + i, inner);
    else if (isObject(value)) for (const [key, inner] of entriesOf(value)) visit(path + separator + key, inner);
    else if (leaves.has(path)) throw new Error(`two secrets of the file become the name ${path}: rename one, or choose another nestedSeparator`);
    else leaves.set(path, leafText(value));
  };
  for (const [key, value] of entries) visit(key, value);
  return leaves;
}

/** Numbers and booleans as in the file (upstream prints them as `%!s(float64=42)`), null as nothing. */
const leafText = (value: Exact): string => (value === null ? '' : value instanceof Digits ? value.text : String(value));
