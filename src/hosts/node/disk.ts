// Files that are written, on Node, Bun and Deno.
import { lstat, mkdir, readdir, readFile, readlink, realpath, rm, rmdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DiskPort } from '../../core/host.ts';

const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory', EISDIR: 'is a directory', ENOTDIR: 'not a directory', ENOTEMPTY: 'directory not empty', EACCES: 'permission denied', EPERM: 'operation not permitted',
  EEXIST: 'file exists', ENOSPC: 'no space left on device', ENAMETOOLONG: 'file name too long', EROFS: 'read-only file system', ELOOP: 'too many levels of symbolic links',
};

/** `open /a/b: no such file or directory`, as Go says it. */
async function told<T>(verb: string, path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`${verb} ${path}: ${words[code ?? ''] ?? message}`, { cause: error });
  }
}

export const disk: DiskPort = {
  resolve: (path) => resolve(path),
  kind: async (path) => {
    try {
      const info = await lstat(path);
      return info.isFile() ? 'file' : info.isDirectory() ? 'directory' : info.isSymbolicLink() ? 'link' : 'other';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      return told('lstat', path, Promise.reject(error));
    }
  },
  readLink: (path) => told('readlink', path, readlink(path)),
  realPath: (path) => told('lstat', path, realpath(path)),
  names: async (path) => (await told('open', path, readdir(path))).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  read: (path) => told('read', path, readFile(path)),
  write: (path, data) => told('open', path, writeFile(path, data)),
  makeFolder: async (path) => void (await told('mkdir', path, mkdir(path, { recursive: true }))),
  remove: async (path) => {
    const info = await told('remove', path, lstat(path));
    await told('remove', path, info.isDirectory() ? rmdir(path) : rm(path));
  },
};
