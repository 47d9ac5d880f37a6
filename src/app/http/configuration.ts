// HTTP routes of the configuration building block.
import { DaprError } from '../../core/errors.ts';
import { goStringify } from '../../core/go-json.ts';
import type { ConfigurationBlock } from '../../blocks/configuration/configuration.ts';
import type { ConfigurationHandler, ConfigurationRequest } from '../../blocks/configuration/port.ts';
import { itemsJson } from '../items-json.ts';
import { empty, type Handler, type HttpCall, json, type Route, segment } from './call.ts';
import { queryMetadata, queryPairs } from './path.ts';

/** `app`: how changes reach the app; undefined where there is no app to tell. */
export function configurationRoutes(configuration: ConfigurationBlock, app: ((store: string) => ConfigurationHandler) | undefined): Route[] {
  const get: Handler = async (call) => {
    const items = await configuration.store(segment(call, 2)).get(requestOf(call), call.context);
    return items.size === 0 ? empty(call) : json(call, 200, `${itemsJson(items)}\n`);
  };
  const subscribe: Handler = async (call) => {
    const store = configuration.store(segment(call, 2));
    // the usual form of an error, but with a line break at its end
    if (app === undefined) return json(call, 500, `${goStringify({ errorCode: 'ERR_APP_CHANNEL_NIL', message: 'app channel is not initialized. cannot subscribe to configuration updates' })}\n`);
    return json(call, 200, `${goStringify({ id: await store.subscribe(requestOf(call), app(store.name)) })}\n`);
  };
  const unsubscribe: Handler = async (call) => {
    const store = configuration.store(segment(call, 2));
    try {
      await store.unsubscribe(segment(call, 3));
    } catch (error) {
      if (!(error instanceof DaprError) || error.is !== 'configurationUnsubscribe') throw error;
      return json(call, 500, `${goStringify({ message: error.message })}\n`);
    }
    return json(call, 200, '{"ok":true}\n');
  };
  return (['v1.0', 'v1.0-alpha1'] as const).flatMap((version) => {
    const group = version === 'v1.0' ? 'configuration/v1' : 'configuration/v1alpha1';
    const route = (path: string, name: string, handler: Handler): Route => ({ methods: ['GET'], path: `${version}/configuration/:storeName${path}`, name, group, handler });
    return [route('', 'GetConfiguration', get), route('/subscribe', 'SubscribeConfiguration', subscribe), route('/:configurationSubscribeID/unsubscribe', 'UnsubscribeConfiguration', unsubscribe)];
  });
}

function requestOf({ query }: HttpCall): ConfigurationRequest {
  const keys = [...queryPairs(query)].filter(([name]) => name === 'key').map(([, value]) => value);
  return { keys, metadata: queryMetadata(query) };
}
