// The app's side of configuration subscriptions over HTTP: each changed key is posted to it (Dapr: pkg/api/http/http.go, updateEventHandler).
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { ConfigurationHandler } from '../../blocks/configuration/port.ts';
import type { Resiliency } from '../../blocks/resiliency/resiliency.ts';
import { background, type CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import { quote } from '../../core/json-exact.ts';
import type { Logger } from '../../core/log.ts';
import { cleanPath } from '../http/path.ts';
import { itemsJson } from '../items-json.ts';

/** Every key of an event is a call of its own with the whole event; anything but 200 is a failure, which is logged; only a policy repeats it. */
export function createConfigurationApp({ channel, log, resiliency }: { channel: AppChannel; log: Logger; resiliency?: Resiliency }): (store: string) => ConfigurationHandler {
  return (store) => async ({ id, items }) => {
    const body = utf8(`{"id":${quote(id)},"items":${itemsJson(items)}}\n`);
    const policy = resiliency?.inbound(store, 'Configuration');
    for (const key of items.keys()) {
      try {
        const path = pathOf(store, key);
        await (policy ? policy.run(background, (limited) => post(path, body, limited)) : post(path, body, background));
      } catch (error) {
        log.error(`error sending configuration item to the app: ${textOf(error)}`);
      }
    }
  };

  async function post(path: string, body: Uint8Array, context: CallContext): Promise<void> {
    if (!channel.healthy) return refused(503);
    const response = await channel.send({ method: 'POST', path, headers: ['Content-Type', 'application/json'], body }, context);
    if (response.body instanceof ReadableStream) await response.body.cancel();
    if (response.status !== 200) refused(response.status);
  }

  function refused(status: number): never {
    throw new Error(`error sending configuration item to application, status ${status}`);
  }
}

/** Slashes of a key stay slashes, and the whole is cleaned as upstream does it; what would end the path or be read as an escape is escaped. */
function pathOf(store: string, key: string): string {
  // Whoever can write keys must not reach other routes of the app.
  if (key.split('/').includes('..')) throw new Error(`the key ${JSON.stringify(key)} would lead out of /configuration/${store}`);
  return cleanPath(`/configuration/${escaped(store)}/${escaped(key)}`);
}
const escaped = (name: string): string => name.toWellFormed().replace(/[^\w!$&'()*+,\-./:;=@[\]~]+/g, (bad) => encodeURIComponent(bad));
