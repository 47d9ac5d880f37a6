import { expect, test } from 'vitest';
import { type ComponentUsers, createComponentUsers } from './users.ts';

const during = <T>(users: ComponentUsers, name: string, call: () => T | Promise<T>) => users.during(() => name, call, undefined);

function later() {
  let done = () => {};
  const promise = new Promise<void>((resolve) => { done = resolve; });
  return { promise, done };
}
const soon = () => new Promise((resolve) => setTimeout(resolve, 1));

test('a call is made at once, its outcome is the caller\'s', async () => {
  const users = createComponentUsers();
  expect(during(users, 'a', () => 1)).toBe(1);
  await expect(during(users, 'a', async () => 2)).resolves.toBe(2);
  await expect(during(users, 'a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(() => during(users, 'a', () => { throw new Error('never'); })).toThrow('never');
  await users.idle('a');
});

test('idle waits for the calls of before, whatever their end, and for no others', async () => {
  const users = createComponentUsers();
  const [first, second, other, after] = [later(), later(), later(), later()];
  void during(users, 'a', () => first.promise);
  const failing = Promise.resolve(during(users, 'a', () => second.promise.then(() => { throw new Error('failed'); })));
  failing.catch(() => {});
  void during(users, 'b', () => other.promise);
  let idle = false;
  const waiting = users.idle('a').then(() => { idle = true; });
  void during(users, 'a', () => after.promise);
  first.done();
  await soon();
  expect(idle).toBe(false);
  second.done();
  await waiting;
  // the one that came later is found by the next look
  let idleAgain = false;
  const again = users.idle('a').then(() => { idleAgain = true; });
  await soon();
  expect(idleAgain).toBe(false);
  after.done();
  await again;
});

test('while a component is held its calls wait, in order, and those of others do not', async () => {
  const users = createComponentUsers();
  const release = users.hold('a');
  const made: string[] = [];
  const one = during(users, 'a', () => made.push('a1'));
  const two = during(users, 'a', () => made.push('a2'));
  during(users, 'b', () => made.push('b'));
  await soon();
  expect(made).toEqual(['b']);
  release();
  await Promise.all([one, two]);
  expect(made).toEqual(['b', 'a1', 'a2']);
  during(users, 'a', () => made.push('a3'));
  expect(made.at(-1)).toBe('a3');
});

test('a call that was let go and held again waits for the second replacement too', async () => {
  const users = createComponentUsers();
  const first = users.hold('a');
  let made = false;
  const call = during(users, 'a', () => { made = true; });
  first();
  const second = users.hold('a');
  await soon();
  expect(made).toBe(false);
  second();
  await call;
  expect(made).toBe(true);
});
