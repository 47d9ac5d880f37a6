// Starts the load generator as its own process and hands it jobs.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Job, Result } from './generator.ts';

export type Generator = { run(job: Job): Promise<Result>; deliveries(port: number): Promise<void>; stop(): void };

export function startGenerator(): Generator {
  const child: ChildProcess = spawn(process.execPath, [`${import.meta.dirname}/main.ts`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })[Symbol.asyncIterator]();
  const ask = async (order: object): Promise<unknown> => {
    child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the load generator ended');
    const answer = JSON.parse(value) as { error?: string };
    if (answer.error) throw new Error(answer.error);
    return answer;
  };
  return {
    run: async (job) => (await ask({ run: job })) as Result,
    deliveries: async (port) => void (await ask({ deliveries: port })),
    stop: () => void child.kill('SIGKILL'),
  };
}
