// The load generator as a process of its own: one JSON job per line on stdin, one JSON result per line on stdout.
//
//   {"deliveries": port}   listen there for published messages (once, before the sidecars start)
//   {"run": Job}           see generator.ts
import { createInterface } from 'node:readline';
import { type Job, openDeliveries, run } from './generator.ts';

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as { deliveries: number } | { run: Job };
  try {
    if ('run' in order) console.log(JSON.stringify(await run(order.run)));
    else {
      await openDeliveries(order.deliveries);
      console.log('{}');
    }
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
