import { describe, expect, test } from 'vitest';
import { daprdFlags } from './daprd-flags.ts';
import { bool, duration, int, list, parseFlags, text, uint, usage } from './flag-set.ts';

const table = {
  name: text('none', 'a name'), on: bool(true, 'a switch'), count: int(-1, 'a count'), size: uint(3, 'a size'), wait: duration(5000, 'a time'), dir: list('folders'),
  old: text('', 'an old one', { deprecated: 'use --name' }),
};
const read = (...argv: string[]) => parseFlags(table, argv);
const problem = (...argv: string[]) => read(...argv).problem?.message;

describe('parseFlags', () => {
  test('takes one dash or two, and values after = or as the next word', () => {
    expect(read('-name', 'a', '--count=4').values).toMatchObject({ name: 'a', count: 4 });
    expect(read('--name=').values.name).toBe('');
  });
  test('a value is taken whatever it looks like; a single dash in it is doubled', () => {
    expect(read('--name', '--count', '5')).toMatchObject({ values: { name: '--count', count: -1 }, rest: ['5'] });
    expect(problem('--count', '-10')).toContain('invalid argument "--10"');
    expect(read('--count', '-1').values.count).toBe(-1);
  });
  test('a boolean takes a value only after =', () => {
    expect(read('--on', 'false')).toMatchObject({ values: { on: true }, rest: ['false'] });
    expect(read('--on=F').values.on).toBe(false);
    expect(problem('--on=maybe')).toBe('invalid argument "maybe" for "--on" flag: strconv.ParseBool: parsing "maybe": invalid syntax');
  });
  test('the last scalar wins, lists grow and split at commas outside quotes', () => {
    expect(read('--name=a', '--name=b').values.name).toBe('b');
    expect(read('--dir=a,b', '--dir', '"c,d",e').values.dir).toEqual(['a', 'b', 'c,d', 'e']);
    expect(read('--dir=').values.dir).toEqual([]);
    expect(problem('--dir=a"b')).toContain('bare "');
  });
  test('-- ends the flags; other words are kept aside, or end the flags too', () => {
    expect(read('x', '--name=a', '--', '--name=b')).toMatchObject({ values: { name: 'a' }, rest: ['x', '--name=b'] });
    expect(parseFlags(table, ['--name=a', 'node', '--count=1'], { interspersed: false })).toMatchObject({ values: { name: 'a', count: -1 }, rest: ['node', '--count=1'] });
  });
  test.each([
    [['--nope=1'], 'unknown flag: --nope'],
    [['--nam=x'], 'unknown flag: --nam'],
    [['--Name=x'], 'unknown flag: --Name'],
    [['-p'], "unknown shorthand flag: 'p' in -p"],
    [['--=x'], 'bad flag syntax: --=x'],
    [['---x'], 'bad flag syntax: ---x'],
    [['--name'], 'flag needs an argument: --name'],
    [['--size=-1'], 'invalid argument "-1" for "--size" flag: strconv.ParseUint: parsing "-1": invalid syntax'],
    [['--count=1.5'], 'invalid argument "1.5" for "--count" flag: strconv.ParseInt: parsing "1.5": invalid syntax'],
    [['--count=99999999999999999999'], 'invalid argument "99999999999999999999" for "--count" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range'],
    [['--wait=5'], 'invalid argument "5" for "--wait" flag: time: missing unit in duration "5"'],
    [['--wait=soon'], 'invalid argument "soon" for "--wait" flag: time: invalid duration "soon"'],
  ])('refuses %j', (argv, message) => expect(problem(...argv)).toBe(message));
  test('integers may have a base', () => {
    expect(['0x10', '010', '0b11', '1_000', '+7'].map((value) => read(`--count=${value}`).values.count)).toEqual([16, 8, 3, 1000, 7]);
  });
  test('names what was probably meant', () => {
    expect(read('--nmae=1').problem?.hint).toBe('did you mean --name?');
    expect(parseFlags(daprdFlags, ['--appport=1']).problem?.hint).toBe('did you mean --app-port?');
    expect(parseFlags(daprdFlags, ['--internal-grpc-port=1']).problem?.hint).toBe('did you mean --dapr-internal-grpc-port?');
    expect(read('--zzzzzz=1').problem?.hint).toBeUndefined();
  });
  test('says where a deprecated flag is met', () => expect(read('--old=1').notices).toEqual(['Flag --old has been deprecated, use --name']));
  test('--help and -h stop', () => {
    expect(read('--help').help).toBe(true);
    expect(read('-h').help).toBe(true);
    expect(read('--name', '--help').help).toBe(false);
  });
  test('names of Object do not count as flags', () => expect(problem('--constructor=1')).toBe('unknown flag: --constructor'));
});

test('one-letter flags where a table has them', () => {
  const short = { 'app-port': int(-1, 'port', { short: 'p' }), log: bool(false, 'log', { short: 'l' }) };
  expect(parseFlags(short, ['-p', '3000', '-l']).values).toEqual({ 'app-port': 3000, log: true });
  expect(parseFlags(short, ['-p=3000']).values['app-port']).toBe(3000);
  expect(parseFlags(short, ['-p', '-1']).values['app-port']).toBe(-1);
});

test('the usage lists every flag but the deprecated ones', () => {
  const lines = usage('x', table).split('\n');
  expect(lines[0]).toBe('Usage of x:');
  expect(lines.filter((line) => line.includes('--old'))).toEqual([]);
  expect(lines.find((line) => line.includes('--wait'))).toMatch(/--wait duration\s+a time \(default 5s\)/);
});
