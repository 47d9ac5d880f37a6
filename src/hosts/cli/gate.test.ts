import { expect, test } from 'vitest';
import type { Incoming } from '../../core/host.ts';
import { createGate } from './gate.ts';

const call = {} as Incoming;
const saying = (text: string) => () => new Response(text);
/** A handler whose calls end when told. */
function slow(text: string) {
  const ends: (() => void)[] = [];
  return { ends, handler: () => new Promise<Response>((resolve) => ends.push(() => resolve(new Response(text)))) };
}
const textOf = async (answer: Response | Promise<Response>) => (await answer).text();
/** What has settled by now, without waiting for anything but microtasks. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  void promise.then(() => { over = true; });
  await new Promise((done) => setTimeout(done, 0));
  return over;
}

test('an answer that is there at once is handed on at once, the very same', () => {
  const gate = createGate();
  const answer = new Response();
  gate.to(() => answer);
  expect(gate.handle(call)).toBe(answer);
});

test('before the first handler and while it is held, calls wait, in order, and go to the handler of then', async () => {
  const gate = createGate();
  const first = gate.handle(call);
  gate.to(saying('one'));
  expect(await textOf(first)).toBe('one');
  gate.hold();
  gate.hold();
  const order: number[] = [];
  const held = [1, 2].map(async (i) => {
    const text = await textOf(gate.handle(call));
    order.push(i);
    return text;
  });
  expect(await isOver(Promise.race(held))).toBe(false);
  gate.to(saying('two'));
  expect([await Promise.all(held), order]).toEqual([['two', 'two'], [1, 2]]);
  expect(gate.handle(call)).toBeInstanceOf(Response);
});

test('calls that were let in and are held again at once wait again', async () => {
  const gate = createGate();
  const held = textOf(gate.handle(call));
  gate.to(saying('one'));
  gate.hold();
  expect(await isOver(held)).toBe(false);
  gate.to(saying('two'));
  expect(await held).toBe('two');
});

test('a handler is over when its own calls are answered, failed ones too, whatever goes to the next', async () => {
  const gate = createGate();
  const [one, two] = [slow('one'), slow('two')];
  const calls = gate.to(one.handler);
  expect(await isOver(calls.over())).toBe(true);
  const answer = gate.handle(call);
  const broken = gate.to(() => Promise.reject(new Error('broken')));
  await expect(gate.handle(call)).rejects.toThrow('broken');
  expect(await isOver(broken.over())).toBe(true);
  gate.to(two.handler);
  void gate.handle(call);
  const over = calls.over();
  expect(await isOver(over)).toBe(false);
  one.ends[0]?.();
  await over;
  expect(await textOf(answer)).toBe('one');
});

test('calls that may last do not keep it', async () => {
  const gate = createGate();
  const { ends, handler } = slow('x');
  const calls = gate.to(handler);
  void gate.handle(call);
  void gate.handle(call);
  let lasting = 0;
  const over = calls.over(() => lasting);
  lasting = 1;
  expect(await isOver(over)).toBe(false); // asked when a call ends
  ends[1]?.();
  await over;
  expect(await isOver(calls.over())).toBe(false);
  expect(await isOver(calls.over(() => Number.POSITIVE_INFINITY))).toBe(true);
});
