// The folders of `--resources-path`: which files in them are resource texts.
import type { FilesPort } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { ResourceText } from './loader.ts';

/**
 * Every `*.yaml` and `*.yml` of the folders, folders in the order given, names in byte order; folders inside are not entered.
 * A file that cannot be read is a warning. Rejects where a folder is missing or is none.
 */
export async function readResourceDirectories(files: FilesPort, paths: readonly string[], log: Logger): Promise<ResourceText[]> {
  const texts: ResourceText[] = [];
  const warn = log.scope('dapr.runtime.loader.disk').warn;
  for (const path of paths) {
    for (const { name, kind } of await files.list(path)) {
      if (kind === 'directory') continue;
      if (!/\.ya?ml$/i.test(name)) {
        warn(`A non-YAML Component file ${name} was detected, it will not be loaded`);
        continue;
      }
      const file = `${path.replace(/\/+$/, '')}/${name}`;
      try {
        texts.push({ file, text: decodeText(await files.read(file)) });
      } catch (error) {
        warn(`daprd load resource error when opening file ${file}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return texts;
}

/** Text of a YAML file: UTF-8 or, by its byte order mark, UTF-16. Throws where the bytes are neither. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`the file is not ${encoding.toUpperCase()} text; save it as UTF-8`);
  }
}
