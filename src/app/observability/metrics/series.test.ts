import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import type { FamilySpec } from './registry.ts';
import * as series from './series.ts';

const specsIn = (value: unknown): FamilySpec[] => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return 'help' in value ? [value as FamilySpec] : Object.values(value).flatMap(specsIn);
};
const specs = specsIn({ ...series });
const page = readFileSync(resolve(import.meta.dirname, '../../../../docs/metrics.md'), 'utf8');

it('every series and each of its labels stands on the page about metrics, and no other does', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split(' | '));
  let labels = '';
  const told = new Map<string, string>();
  for (const [names = '', kind = '', text = ''] of rows) {
    if (!/^[CGH]/.test(kind)) continue;
    labels = text.startsWith('the same') ? labels : text;
    for (const [, name = ''] of names.matchAll(/`(\w+)`/g)) told.set(name, labels);
  }
  expect([...told.keys()].sort()).toEqual(specs.map(({ name }) => name).sort());
  for (const { name, labels: own } of specs) expect([name, ...own.filter((label) => label !== 'app_id' && !told.get(name)?.includes(`\`${label}\``))]).toEqual([name]);
});

it('names are Dapr’s: lower case words, and labels once', () => {
  for (const { name, labels } of specs) {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)+$/);
    expect(new Set(labels).size).toBe(labels.length);
  }
});
