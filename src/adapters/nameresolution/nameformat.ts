// nameresolution.nameformat: the address is the app id put into a pattern.
import { defineNameResolver } from '../../blocks/invoke/port.ts';

export default defineNameResolver({
  type: 'nameresolution.nameformat',
  summary: 'Makes the address from the app id by a pattern; `format` must contain `{appid}` and a port.',
  open: async ({ format }) => {
    if (typeof format !== 'string' || format === '') throw new Error('format is required in metadata');
    if (!format.includes('{appid}')) throw new Error('format must contain {appid} placeholder');
    return {
      cacheMs: 0,
      resolve: async (appId) => [format.replaceAll('{appid}', appId)],
      close: async () => undefined,
    };
  },
});
