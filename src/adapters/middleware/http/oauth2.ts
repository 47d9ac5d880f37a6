// middleware.http.oauth2: sends a browser to the login of an OAuth 2 service and adds the token it comes back with to its requests.
import { textOf } from '../../../core/errors.ts';
import { withMoreOf } from '../../../core/headers.ts';
import { headerOf } from '../../../core/host.ts';
import { field, isTruthy, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware, type MiddlewareAnswer, type MiddlewareRequest } from '../../../blocks/middleware/port.ts';
import { redirectAnswer, statusAnswer, textAnswer } from '../answers.ts';
import { goRegExp } from '../go-regexp.ts';
import { tokenClient } from '../oauth-token.ts';
import { type Session, sessionsOf } from '../sessions.ts';
import { encodeQuery, parseQuery, urlOf } from '../url.ts';

export default defineHttpMiddleware({
  type: 'middleware.http.oauth2',
  status: 'alpha',
  // not on Workers: a browser's next request may meet another isolate, which knows nothing of its session
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Logs browsers in with the authorization code flow of OAuth 2. Sessions live in the memory of this process, for two hours.',
  metadata: schema({
    clientID: field.text().default('').describe('As registered with the OAuth 2 service'),
    clientSecret: field.text().default('').describe('As registered with the OAuth 2 service'),
    scopes: field.text().default('').describe('Separated by commas'),
    authURL: field.text().default('').describe('Where browsers are sent to log in'),
    tokenURL: field.text().default('').describe('Where the code is exchanged for a token'),
    redirectURL: field.text().default('').describe('Where the service sends the browser back to: an address of this sidecar'),
    authHeaderName: field.text().default('Authorization').describe('Header that gets `<type> <token>`'),
    forceHTTPS: field.text().default('false').describe('Browsers go back to where they came from by https'),
    pathFilter: field.text().default('').describe('Regular expression (RE2): only requests whose path matches need a login; default all'),
  }),
  open: async (metadata, { host, log }) => {
    const { clientID, clientSecret, scopes, authURL, tokenURL, redirectURL } = metadata;
    const headerName = metadata.authHeaderName || 'Authorization';
    const filter = metadata.pathFilter === '' ? undefined : await goRegExp(metadata.pathFilter);
    const sessions = sessionsOf(host);
    const exchange = tokenClient(host.http, { tokenUrl: tokenURL, clientId: clientID, clientSecret, authStyle: 0 });
    const loginUrl = (state: string): string =>
      `${authURL}${authURL.includes('?') ? '&' : '?'}${encodeQuery([
        ['access_type', 'offline'], ['client_id', clientID], ['response_type', 'code'], ['state', state],
        ...(redirectURL === '' ? [] : [['redirect_uri', redirectURL] as const]), ...(scopes === '' ? [] : [['scope', scopes.split(',').join(' ')] as const]),
      ])}`;

    /** The browser comes back from the login. */
    const finish = async (session: Session, state: string, query: readonly [string, string][], request: MiddlewareRequest): Promise<MiddlewareAnswer> => {
      const back = session.values.get('redirect-url');
      if (back === undefined) {
        log.error('a login came back without the session it began in');
        return statusAnswer(500);
      }
      if (state !== session.values.get('auth-state')) return textAnswer(400, 'invalid state');
      const code = query.find(([name]) => name === 'code')?.[1] ?? '';
      if (code === '') return textAnswer(400, 'code not found');
      try {
        const { header } = await exchange([['grant_type', 'authorization_code'], ['code', code], ...(redirectURL === '' ? [] : [['redirect_uri', redirectURL] as const])]);
        session.values.set(headerName, header);
      } catch (error) {
        log.error(`Failed to exchange token: ${textOf(error)}`);
        return statusAnswer(500);
      }
      return redirectAnswer(isTruthy(metadata.forceHTTPS) ? `https://${headerOf(request.headers, 'host') ?? ''}${back}` : back);
    };

    return {
      handle: async (request, next) => {
        const { path, escapedPath, query, hasQuery } = urlOf(request.target);
        if (filter !== undefined && !filter.test(path)) return next(request);
        const { session, setCookie } = sessions.start(request.headers);
        const withCookie = (answer: MiddlewareAnswer): MiddlewareAnswer => ({ ...answer, headers: [...setCookie, ...answer.headers] });
        const known = session.values.get(headerName);
        if (known !== undefined) return next({ ...request, headers: withMoreOf(request.headers, headerName, known) });
        const pairs = parseQuery(query);
        const state = pairs.find(([name]) => name === 'state')?.[1] ?? '';
        if (state !== '') return withCookie(await finish(session, state, pairs, request));
        const fresh = crypto.randomUUID();
        session.values.set('auth-state', fresh);
        session.values.set('redirect-url', hasQuery ? `${escapedPath}?${query}` : escapedPath);
        return withCookie(redirectAnswer(loginUrl(fresh)));
      },
      close: async () => undefined,
    };
  },
});
