// What the tests use of check-imports.mjs.
export function problemsIn(root: string): string[];
