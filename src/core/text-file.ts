// A text in a file of the host: tokens, certificates, kubeconfigs.
import { textOfBytes } from './go-json.ts';
import type { FilesPort } from './host.ts';

/** The whole file as UTF-8; a relative path starts where the sidecar was started. Throws an Error that names the path. */
export async function readTextFile(files: FilesPort | undefined, path: string): Promise<string> {
  if (files === undefined) throw new Error(`cannot read ${path}: this runtime has no files`);
  return textOfBytes(await files.read(files.resolve(path)));
}
