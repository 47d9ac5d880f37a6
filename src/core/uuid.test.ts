import { expect, it } from 'vitest';
import { uuid } from './uuid.ts';

it('makes ids that look like random UUIDs and never come twice', () => {
  const ids = Array.from({ length: 50_000 }, uuid);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids.map((id) => id.slice(0, 34))).size).toBe(Math.ceil(50_000 / 256));
});
