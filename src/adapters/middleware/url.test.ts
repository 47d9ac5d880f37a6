import { expect, test } from 'vitest';
import { canonicalIp } from './client-ip.ts';
import { encodeQuery, escapePath, parseQuery, urlOf } from './url.ts';
import { cookieDomain, createSessions } from './sessions.ts';

test.each([
  ['/a%20b/c?x=1', { path: '/a b/c', escapedPath: '/a%20b/c', query: 'x=1', hasQuery: true }],
  ['/a?', { path: '/a', escapedPath: '/a', query: '', hasQuery: true }],
  ['/a"b', { path: '/a"b', escapedPath: '/a%22b', query: '', hasQuery: false }],
  ['/%ff', { path: '/\ufffd', escapedPath: '/%ff', query: '', hasQuery: false }],
  ['', { path: '', escapedPath: '/', query: '', hasQuery: false }],
])('target %j', (target, expected) => expect(urlOf(target)).toEqual(expected));
test('a path set by hand is escaped', () => expect(escapePath("/a b?c!d/ü:@")).toBe('/a%20b%3Fc%21d/%C3%BC:@'));
test('a query is sorted and escaped anew', () => expect(encodeQuery(parseQuery('b=2&a=x+y&a=%26&;=1&c=%zz'))).toBe('a=x+y&a=%26&b=2'));

test.each([
  ['1.2.3.4', '1.2.3.4'], ['', ''], ['unknown', 'unknown'], ['2001:db8::1', '2001:db8::'], ['2001:db8:0:0:1::', '2001:db8::'], ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'], ['::ffff:1.2.3.4', '::'], ['1:2', '1:2'],
])('the client of %j', (ip, client) => expect(canonicalIp(ip)).toBe(client));

test.each([
  ['127.0.0.1:3500', ''], ['localhost', ''], ['app.example.com', 'example.com'], ['a.b.example.com:80', 'example.com'], ['example.com', 'example.com'], ['[::1]:80', ''],
])('cookies of %s are for %j', (host, domain) => expect(cookieDomain(host)).toBe(domain));
test('a session is known by its cookie, an id from elsewhere is not taken over', () => {
  const sessions = createSessions();
  const { session, setCookie } = sessions.start(['Host', 'localhost']);
  expect(setCookie[1]).toMatch(/^gosessionsid=[\w-]{32}; Path=\/; Expires=.* GMT; HttpOnly$/);
  const id = /gosessionsid=([^;]+)/.exec(setCookie[1] as string)?.[1] as string;
  expect(sessions.start(['Cookie', `a=b; gosessionsid=${id}`])).toEqual({ session, setCookie: [] });
  const other = sessions.start(['Cookie', 'gosessionsid=planted']);
  expect(other.session).not.toBe(session);
  expect(other.setCookie[1]).not.toContain('planted');
});
