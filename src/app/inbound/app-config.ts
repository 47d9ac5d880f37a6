// The app's own configuration, asked once when it is first healthy: GET /dapr/config (Dapr: pkg/channel/http, GetAppConfig).
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import { readBody } from '../../core/body.ts';
import { background } from '../../core/context.ts';
import type { Logger } from '../../core/log.ts';

/** What the app said; every field is optional, and nothing but actors uses them. */
export type AppConfig = Readonly<Record<string, unknown>>;

/** Empty where the app has none (any status but 200); undefined where it gave no answer or no JSON. */
export async function askAppConfig(channel: AppChannel, appId: string, log: Logger): Promise<AppConfig | undefined> {
  try {
    const { status, body } = await channel.send({ method: 'GET', path: '/dapr/config', headers: ['Content-Type', 'application/json', 'Dapr-App-Id', appId], body: null }, background);
    const { bytes } = await readBody(body);
    const config: unknown = status === 200 ? JSON.parse(new TextDecoder().decode(bytes)) : {};
    log.info('Application configuration loaded');
    return typeof config === 'object' && config !== null ? (config as AppConfig) : {};
  } catch {
    return undefined;
  }
}
