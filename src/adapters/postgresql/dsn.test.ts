import { describe, expect, it } from 'vitest';
import { dsnSettings, urlSettings } from './dsn.ts';

const dsn = (text: string) => Object.fromEntries(dsnSettings(text));
const url = (text: string) => Object.fromEntries(urlSettings(text));

describe('key=value', () => {
  it('reads plain and quoted values, escapes and blanks around the sign', () =>
    expect(dsn(String.raw`host=localhost port = 5432 password='it''s'`.replace("''", String.raw`\'`))).toEqual({ host: 'localhost', port: '5432', password: "it's" }));
  it('keeps blanks in quotes and = in values', () => expect(dsn("user='a b' password=x=y\\ z dbname=''")).toEqual({ user: 'a b', password: 'x=y z', database: '' }));
  it('is empty for nothing', () => expect(dsn('  ')).toEqual({}));
  it.each(['secret', 'host=h secret', "password='secret", 'host=h =secret'])('refuses %s and does not show it', (text) => {
    expect(() => dsn(text)).toThrow('failed to parse connection string');
    expect(() => dsn(text)).not.toThrow('secret');
  });
});

describe('URL', () => {
  it('takes all parts', () =>
    expect(url('postgres://us%40er:p%2Fw@db.example:6543/my%20db?sslmode=disable&pool_max_conns=3')).toEqual({ user: 'us@er', password: 'p/w', host: 'db.example', port: '6543', database: 'my db', sslmode: 'disable', pool_max_conns: '3' }));
  it('takes few parts', () => {
    expect(url('postgresql://')).toEqual({});
    expect(url('postgres://u@/db')).toEqual({ user: 'u', database: 'db' });
    expect(url('postgres://[::1]:5/d')).toEqual({ host: '::1', port: '5', database: 'd' });
    expect(url('postgres:///d?host=/run/postgresql&dbname=e')).toEqual({ database: 'e', host: '/run/postgresql' });
  });
  it('refuses a broken escape', () => expect(() => url('postgres://u:%zz@h/d')).toThrow('invalid URL escape'));
});
