// nameresolution.static: a fixed list of addresses in the Configuration, for hosts without multicast and for tests (Outrigger's own).
import { defineNameResolver } from '../../blocks/invoke/port.ts';

export default defineNameResolver({
  type: 'nameresolution.static',
  summary: 'Reads addresses from the Configuration: `apps: {<app id>: host:port | [host:port, …]}`; `<app id>.<namespace>` where the namespace matters.',
  open: async ({ apps }) => {
    if (typeof apps !== 'object' || apps === null || Array.isArray(apps)) throw new Error('apps is required: a map of app id to address or list of addresses');
    const addresses = new Map<string, string[]>();
    for (const [id, value] of Object.entries(apps)) {
      const list = Array.isArray(value) ? value : [value];
      for (const one of list) if (typeof one !== 'string' || !/:\d+$/.test(one)) throw new Error(`address of app ${id} must be host:port`);
      addresses.set(id, list as string[]);
    }
    return {
      cacheMs: Number.POSITIVE_INFINITY,
      resolve: async (appId, namespace) => {
        const found = addresses.get(`${appId}.${namespace}`) ?? addresses.get(appId);
        if (found === undefined) throw new Error(`couldn't find service: ${appId}`);
        return found;
      },
      close: async () => undefined,
    };
  },
});
