// Whether node_modules has what the lock file asks for: a pull may have brought packages that are not there yet.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Packages of other platforms and other optional ones may be absent. */
export function installed(root) {
  const packages = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages ?? {};
  try {
    const there = packages('node_modules/.package-lock.json');
    return Object.entries(packages('package-lock.json')).every(([path, { version, optional, devOptional }]) => path === '' || optional || devOptional || there[path]?.version === version);
  } catch {
    return false;
  }
}
