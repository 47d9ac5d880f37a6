// What `npm start` shows when the sidecar is ready: who it is, where it listens, what is loaded, and three calls to try.
import type { Outrigger } from '../../app/create-app.ts';
import type { Launch } from './options.ts';
import { stdout } from './output.ts';
import { appVersion, daprVersion } from './version.ts';

export const printBanner = (app: Outrigger, launch: Launch): void => stdout(bannerText(app, launch));

function bannerText({ components }: Pick<Outrigger, 'components'>, { settings, resourcePaths }: Pick<Launch, 'settings' | 'resourcePaths'>): string {
  const api = `http://localhost:${settings.httpPort}/v1.0`;
  const state = components.state.keys().next().value;
  const pubsub = components.pubsub.keys().next().value;
  const list = components.all().map(({ name, type }) => `${name} (${type})`).join(', ') || 'none';
  const tries = [
    ...(state ? [`curl -X POST ${api}/state/${state} -H 'Content-Type: application/json' -d '[{"key":"hello","value":"world"}]'`, `curl ${api}/state/${state}/hello`] : []),
    ...(pubsub ? [`curl -X POST ${api}/publish/${pubsub}/greetings -H 'Content-Type: application/json' -d '{"hello":"world"}'`] : []),
    `curl ${api}/metadata`,
    `curl -i ${api}/healthz`,
    `curl -X POST ${api}/shutdown`,
  ].slice(0, 3);
  return `
  Outrigger ${appVersion}, the API of Dapr ${daprVersion}

  app id      ${settings.appId}${settings.app.port ? ` (app on port ${settings.app.port})` : ''}
  HTTP API    ${api}
  components  ${list}${resourcePaths.length === 0 ? '   (embedded; --resources-path takes your own)' : ''}

  Try:
${tries.map((line) => `    ${line}`).join('\n')}

`;
}
