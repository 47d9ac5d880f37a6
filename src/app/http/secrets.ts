// HTTP routes of the secrets building block.
import { printExact } from '../../core/json-exact.ts';
import type { SecretsBlock } from '../../blocks/secrets/secrets.ts';
import { empty, type Handler, type HttpCall, json, type Route, segment } from './call.ts';
import { checkBody } from './proto-body.ts';
import { queryMetadata } from './path.ts';

export function secretsRoutes(secrets: SecretsBlock): Route[] {
  const found = (call: HttpCall, data: Record<string, string | Record<string, string>> | null) => (data === null ? empty(call) : json(call, 200, `${printExact(data)}\n`));
  const get: Handler = async (call) => {
    await checkBody(call);
    return found(call, await secrets.get(segment(call, 2), segment(call, 3), queryMetadata(call.query), call.context));
  };
  const bulk: Handler = async (call) => {
    await checkBody(call);
    return found(call, await secrets.bulkGet(segment(call, 2), queryMetadata(call.query), call.context));
  };
  const group = 'secrets/v1';
  return [
    { methods: ['GET'], path: 'v1.0/secrets/:secretStoreName/bulk', name: 'GetBulkSecret', group, handler: bulk },
    { methods: ['GET'], path: 'v1.0/secrets/:secretStoreName/:key', name: 'GetSecret', group, handler: get },
  ];
}
