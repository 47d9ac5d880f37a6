// What a notification of the user's trigger tells: `{"data": {key, value, version, metadata}}`, other members ignored.
import { parseWhole } from '../../core/go-json.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { ConfigurationItem } from '../../blocks/configuration/port.ts';

/** undefined, and a line in the log, for what cannot be used. Names of members match in any case; values that are no texts become some. */
export function changeOf(payload: string, log: Logger): { key: string; item: ConfigurationItem } | undefined {
  let told: unknown;
  try {
    told = parseWhole(payload);
  } catch (error) {
    log.error(`error in unmarshal: ${textOf(error)}`);
    return undefined;
  }
  const data = isObject(told) ? told.data : undefined;
  if (!isObject(data)) {
    log.info(`unknown format of data received in notify event - '${payload}'`);
    return undefined;
  }
  const members = new Map(Object.entries(data).map(([name, value]) => [name.toLowerCase(), value]));
  const key = members.get('key');
  if (typeof key !== 'string') {
    log.info(`no key in the data received in notify event - '${payload}'`);
    return undefined;
  }
  const metadata = members.get('metadata');
  return {
    key,
    item: {
      value: asText(members.get('value')),
      version: asText(members.get('version')),
      metadata: isObject(metadata) ? Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, asText(value)])) : {},
    },
  };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A number or an object as its JSON; nothing and null as ''. */
const asText = (value: unknown): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));
