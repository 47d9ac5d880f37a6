// Configuration items as Dapr spells them in JSON, in answers and in calls to the app (Dapr: components-contrib/configuration/requests.go).
import type { ConfigurationItems } from '../blocks/configuration/port.ts';
import { printObject, printTexts, quote } from '../core/json-exact.ts';

/** Sorted by key, empty fields left out. */
export function itemsJson(items: ConfigurationItems): string {
  return printObject(
    [...items].map(([key, { value, version, metadata }]) => {
      const fields = [
        ...(value === '' ? [] : [`"value":${quote(value)}`]),
        ...(version === '' ? [] : [`"version":${quote(version)}`]),
        ...(Object.keys(metadata).length === 0 ? [] : [`"metadata":${printTexts(metadata)}`]),
      ];
      return [key, `{${fields.join(',')}}`];
    }),
  );
}
