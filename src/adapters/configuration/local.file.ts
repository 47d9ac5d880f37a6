// configuration.local.file: items in a JSON file, read again when it changes. Not a component of Dapr.
import { textOf } from '../../core/errors.ts';
import { parseWhole, textOfBytes } from '../../core/go-json.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { type ConfigurationItem, defineConfigurationStore } from '../../blocks/configuration/port.ts';
import { createItemMap, itemsOf } from './item-map.ts';

// Editors write a file in several steps; a half written one is looked at again.
const settleMs = 50;

export default defineConfigurationStore({
  type: 'configuration.local.file',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Configuration items in a JSON file; who edits it tells all who have subscribed.',
  metadata: schema({
    file: field.text().default('').describe('Path of the file, a JSON object of the items by key: a text is the value, an object has `value`, `version` and `metadata`. Required.'),
  }),
  open: async ({ file: given }, { host: { files }, log, name }) => {
    if (given === '') throw new MetadataError('missing file in metadata');
    if (files === undefined) throw new Error('files are not available on this runtime');
    const file = files.resolve(given);
    const read = async (): Promise<Map<string, ConfigurationItem>> => {
      const text = textOfBytes(await files.read(file));
      try {
        return itemsOf(parseWhole(text));
      } catch (error) {
        throw new Error(`${file}: ${textOf(error)}`);
      }
    };
    const items = createItemMap(await read(), log);
    let closed = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reread = async () => {
      try {
        const now = await read();
        if (!closed) items.replace(now);
      } catch (error) {
        if (!closed) log.warn(`configuration store ${name} keeps the items it has: ${textOf(error)}`);
      }
    };
    let watch: { close(): void } | undefined;
    try {
      // The directory: editors put a new file in the place of the old one.
      watch = files.watch?.(file.replace(/[/\\][^/\\]*$/, '') || '/', () => {
        clearTimeout(timer);
        timer = setTimeout(reread, settleMs);
      });
    } catch (error) {
      log.warn(`configuration store ${name} cannot watch its file: ${textOf(error)}`);
    }
    if (watch === undefined) log.warn(`configuration store ${name} sees changes of its file only when it is loaded again`);
    return {
      ...items,
      close: async () => {
        closed = true;
        clearTimeout(timer);
        watch?.close();
        await items.close();
      },
    };
  },
});
