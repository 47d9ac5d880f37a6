// The app's side of configuration subscriptions over HTTP: each changed key is posted to it (Dapr: pkg/api/http/http.go, updateEventHandler).
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { ConfigurationHandler } from '../../blocks/configuration/port.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import { quote } from '../../core/json-exact.ts';
import type { Logger } from '../../core/log.ts';
import { cleanPath } from '../http/path.ts';
import { itemsJson } from '../items-json.ts';

/** Every key of an event is a call of its own with the whole event; anything but 200 is a failure, which is logged and not repeated. */
export function createConfigurationApp({ channel, log }: { channel: AppChannel; log: Logger }): (store: string) => ConfigurationHandler {
  return (store) => async ({ id, items }) => {
    const body = utf8(`{"id":${quote(id)},"items":${itemsJson(items)}}\n`);
    for (const key of items.keys()) {
      try {
        const status = await post(pathOf(store, key), body);
        if (status !== 200) throw new Error(`error sending configuration item to application, status ${status}`);
      } catch (error) {
        log.error(`error sending configuration item to the app: ${textOf(error)}`);
      }
    }
  };

  async function post(path: string, body: Uint8Array): Promise<number> {
    if (!channel.healthy) return 503;
    const response = await channel.send({ method: 'POST', path, headers: ['Content-Type', 'application/json'], body }, background);
    if (response.body instanceof ReadableStream) await response.body.cancel();
    return response.status;
  }
}

/** Slashes of a key stay slashes, and the whole is cleaned as upstream does it; what would end the path or be read as an escape is escaped. */
function pathOf(store: string, key: string): string {
  // Whoever can write keys must not reach other routes of the app.
  if (key.split('/').includes('..')) throw new Error(`the key ${JSON.stringify(key)} would lead out of /configuration/${store}`);
  return cleanPath(`/configuration/${escaped(store)}/${escaped(key)}`);
}
const escaped = (name: string): string => name.toWellFormed().replace(/[^\w!$&'()*+,\-./:;=@[\]~]+/g, (bad) => encodeURIComponent(bad));
