// `node bench/memory.ts`: whether a sidecar's memory stays flat while a million messages go through it.
//
//   node bench/memory.ts [options]
//     --command 'CMD'      the sidecar, daprd's flags are appended (default: the built one)
//     --messages N         default 1000000
//     --single             published and delivered one by one; default: 100 in a request, 100 in a delivery
//     --every N            seconds between two lines (default 1)
//
// Prints messages so far, per second, and resident memory (in brackets what is not backed by files). It ends with the growth from the
// first quarter of the messages to the last: a leak of four bytes per message is two megabytes.
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/harness/ports.ts';
import { startSidecar } from '../test/harness/sidecar.ts';
import { startGenerator } from './load/remote.ts';
import { median } from './load/samples.ts';
import { publishedMessages, readCommand, subscriberResources } from './subjects.ts';
import { usage } from './usage.ts';

const { values: options } = parseArgs({
  options: {
    command: { type: 'string', default: 'built' },
    messages: { type: 'string', default: '1000000' },
    single: { type: 'boolean', default: false },
    every: { type: 'string', default: '1' },
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130)); // exit ends all children

const wanted = Number(options.messages);
const generator = startGenerator();
const deliveries = await freePort();
await generator.deliveries(deliveries);
const { name, words } = readCommand(options.command, 'node');
const sidecar = await startSidecar({ command: words, flags: ['--app-id=bench-subscriber', '--log-level=warn', `--app-port=${deliveries}`], resources: subscriberResources });
const group = [sidecar.child.pid ?? 0];
try {
  await sleep(1000); // its subscriptions begin after it is ready
  await run();
} finally {
  await sidecar.stop();
  generator.stop();
}
process.exit();

async function run(): Promise<void> {
  const load = options.single ? publishedMessages.single : publishedMessages.bulk;
  const seen: { done: number; anonMb: number }[] = [];
  console.log(`${name}, ${wanted.toLocaleString('en-US')} messages ${options.single ? 'one by one' : 'in bulk'}`);
  for (let done = 0, lost = 0; done < wanted; ) {
    const result = await generator.run({ port: sidecar.ports.http, connections: 16, ms: Number(options.every) * 1000, warmMs: 0, ...load });
    done += Math.round(result.perSecond * Number(options.every));
    lost += result.lost;
    const { rssMb, anonMb } = usage(group);
    seen.push({ done, anonMb });
    console.log(`${done.toLocaleString('en-US').padStart(11)}  ${Math.round(result.perSecond).toLocaleString('en-US').padStart(8)}/s  ${rssMb.toFixed(0).padStart(5)} MB (${anonMb.toFixed(0)})${result.errors ? `  ${result.errors} errors` : ''}${lost ? `  ${lost} lost` : ''}`);
    if (result.perSecond === 0) throw new Error('nothing is delivered');
  }
  const part = (from: number, to: number) => median(seen.filter(({ done }) => done > from * wanted && done <= to * wanted + wanted * 0.01).map(({ anonMb }) => anonMb));
  console.log(`growth from the first quarter to the last: ${(part(0.75, 1) - part(0, 0.25)).toFixed(1)} MB`);
}
