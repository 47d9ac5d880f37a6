// secretstores.local.env: the environment of the sidecar as secrets (on Workers: the text bindings).
import { field, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';

/** Variables that belong to the sidecar itself; looked at in any case of letters. */
function isForbidden(variable: string): boolean {
  const name = variable.toUpperCase();
  return name === 'APP_API_TOKEN' || name.startsWith('DAPR_');
}

export default defineSecretStore({
  type: 'secretstores.local.env',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: [],
  summary: 'Environment variables of the sidecar as secrets; on Workers the text bindings.',
  metadata: schema({
    prefix: field.text().default('').describe('Put before the name asked for; bulk shows only variables that begin with it, without it.'),
  }),
  open: async ({ prefix }, { host, log }) => ({
    // an unset variable is an empty secret, and so is a forbidden one
    get: async (name) => {
      const variable = prefix + name;
      if (isForbidden(variable)) log.warn(`Access to env var ${name} is forbidden`);
      const value = isForbidden(variable) || !Object.hasOwn(host.env, variable) ? '' : host.env[variable];
      return { [name]: typeof value === 'string' ? value : '' };
    },
    bulkGet: async () => {
      const found: Record<string, Record<string, string>> = {};
      for (const [variable, value] of Object.entries(host.env)) {
        // a Worker's bindings that are no text are no secrets
        if (typeof value !== 'string' || isForbidden(variable)) continue;
        if (prefix !== '' && !(variable.startsWith(prefix) && variable.length > prefix.length)) continue;
        const name = variable.slice(prefix.length);
        found[name] = { [name]: value };
      }
      return found;
    },
    close: async () => {},
  }),
});
