// A short run of the loss test for every broker that starts fast; the long one is `node test/durability/loss.ts`.
import { expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { brokers } from './brokers.ts';
import { measureLoss } from './loss.ts';

for (const row of brokers.filter(({ slow }) => !slow)) {
  describeWithServer(row.servers, `pubsub.${row.name} while sidecars, app and broker are killed`, () => {
    test('every acknowledged message arrives', { timeout: 150_000 }, async () => {
      const report = await measureLoss(row, { messages: 600, kills: 5, seed: 7 });
      expect(report.lost).toEqual([]);
      expect(report.acknowledged).toBe(600);
      expect(Object.values(report.kills).every((times) => times > 0)).toBe(true);
      if (row.ordered) expect(report.overtaken).toBe(0);
      // Each kill may repeat what was in hand, not everything from the start.
      expect(report.duplicates).toBeLessThan(600);
    });
  });
}
