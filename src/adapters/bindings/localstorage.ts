// bindings.localstorage: files in a folder of this machine.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { fromBase64 } from '../../core/base64.ts';
import { goStringify, textOfBytes, utf8 } from '../../core/go-json.ts';
import type { DiskPort } from '../../core/host.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { unquote } from './unquote.ts';

// A folder named by mistake or by an attacker must not lay these open.
const forbidden = ['/proc', '/sys', '/boot', '/var/run/secrets'];
const longestChain = 255; // symbolic links on one path, as Linux and cyphar/filepath-securejoin count

export default defineBinding({
  type: 'bindings.localstorage',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['OUTPUT_BINDING'],
  summary: 'Writes, reads, lists and deletes files in a folder.',
  metadata: schema({ rootPath: field.text().default('').describe('Folder for the files, made when it is not there. Not below /proc, /sys, /boot or /var/run/secrets') }),
  open: async ({ rootPath }, { host }) => {
    const { disk } = host;
    if (disk === undefined) throw new Error('bindings.localstorage needs a runtime with files');
    const root = await rootOf(rootPath, disk);
    await attempt(`unable to create directory specified by 'rootPath' ${root}`, disk.makeFolder(root));

    const create = async (fileName: string, data: Uint8Array) => {
      const path = await inside(root, fileName, disk);
      const folder = path.slice(0, path.lastIndexOf('/')) || '/';
      await attempt(`error creating directory ${folder}`, disk.makeFolder(folder));
      await attempt(`error creating file ${path}`, disk.write(path, content(data)));
      return utf8(goStringify({ fileName: path === root ? '.' : path.slice(root === '/' ? 1 : root.length + 1) }));
    };
    const read = async (path: string) => {
      if ((await disk.kind(path)) === undefined) throw new AdapterError('invalid', `file not found: ${path}`);
      return attempt(`error reading file ${path}`, disk.read(path));
    };
    const list = async (path: string) => {
      const kind = await disk.kind(path);
      if (kind === undefined) throw new AdapterError('invalid', `error getting stats for path ${path}: stat ${path}: no such file or directory`);
      if (kind !== 'directory') throw new AdapterError('invalid', `unable to list files as the file specified is not a directory: ${path}`);
      const files = await attempt(`error listing files in the directory ${path}`, walk(path, disk));
      return utf8(files.length === 0 ? 'null' : goStringify(files));
    };
    return {
      operations: ['create', 'get', 'list', 'delete'],
      invoke: async ({ operation, data, metadata }) => {
        const fileName = metadata.fileName ?? '';
        if (operation === 'create') return { data: await create(fileName || crypto.randomUUID(), data), metadata: {} };
        const path = await inside(root, fileName, disk);
        if (operation === 'get') return { data: await read(path), metadata: {} };
        if (operation === 'list') return { data: await list(path), metadata: {} };
        await attempt(`error deleting file ${path}`, disk.remove(path));
        return null;
      },
      close: async () => undefined,
    };
  },
});

async function attempt<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new AdapterError('internal', `${what}: ${textOf(error)}`, error);
  }
}

/** Absolute, symbolic links resolved. Throws where it may not be used. */
async function rootOf(rootPath: string, disk: DiskPort): Promise<string> {
  const refuse = (why: string) => new MetadataError(`failed to parse metadata: property rootPath ${why}`);
  if (rootPath === '') throw refuse('must not be empty');
  const path = disk.resolve(rootPath);
  // What is there already decides; the rest of the path is still to be made.
  let there = path;
  let kind = await disk.kind(there);
  while (kind === undefined && there !== '/') {
    there = there.slice(0, there.lastIndexOf('/')) || '/';
    kind = await disk.kind(there);
  }
  const real = await disk.realPath(there);
  if ((await disk.kind(real)) !== 'directory') throw refuse('represents a file and not a directory');
  const rest = path.slice(there === '/' ? 0 : there.length);
  const root = real === '/' ? rest || '/' : `${real}${rest}`;
  if (forbidden.some((folder) => root === folder || root.startsWith(`${folder}/`))) throw refuse('points to a disallowed location');
  return root;
}

/** A name joined to the root so that neither `..` nor symbolic links lead out of it: the root is the root for them too. */
async function inside(root: string, name: string, disk: DiskPort): Promise<string> {
  const under = (parts: string[]) => (root === '/' ? `/${parts.join('/')}` : [root, ...parts].join('/'));
  const waiting = name.split('/').reverse();
  let parts: string[] = [];
  for (let links = 0; waiting.length > 0; ) {
    const part = waiting.pop() as string;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      parts.pop();
      continue;
    }
    const path = under([...parts, part]);
    if ((await disk.kind(path)) !== 'link') {
      parts.push(part);
      continue;
    }
    if (++links > longestChain) throw new AdapterError('invalid', `error getting absolute path for file ${name}: too many levels of symbolic links`);
    const target = await disk.readLink(path);
    if (target.startsWith('/')) parts = [];
    waiting.push(...target.split('/').reverse());
  }
  return under(parts);
}

/** Everything below that is no folder, in order; links are listed, not followed. */
async function walk(folder: string, disk: DiskPort): Promise<string[]> {
  const out: string[] = [];
  for (const name of await disk.names(folder)) {
    const path = `${folder === '/' ? '' : folder}/${name}`;
    if ((await disk.kind(path)) === 'directory') out.push(...(await walk(path, disk)));
    else out.push(path);
  }
  return out;
}

/** What is written: a quoted text without its quotes, and what is valid base64 decoded. That is upstream's rule, also where it guesses wrong. */
function content(data: Uint8Array): Uint8Array {
  const text = textOfBytes(data);
  const unquoted = unquote(text);
  const plain = unquoted ?? text;
  const compact = plain.replace(/[\r\n]/g, '');
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(compact)) return fromBase64(compact);
  return unquoted === undefined ? data : utf8(unquoted);
}
