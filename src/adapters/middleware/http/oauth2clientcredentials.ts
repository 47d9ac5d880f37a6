// middleware.http.oauth2clientcredentials: requests get a token that the sidecar fetches with its own credentials.
import { textOf } from '../../../core/errors.ts';
import { withMoreOf } from '../../../core/headers.ts';
import { field, MetadataError, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware } from '../../../blocks/middleware/port.ts';
import { statusAnswer } from '../answers.ts';
import { goRegExp, type GoRegExp } from '../go-regexp.ts';
import { type Token, tokenClient } from '../oauth-token.ts';
import { parseQuery, urlOf } from '../url.ts';

/** How long a token is used that does not say when it ends. */
const usualLifeMs = 3_600_000;

export default defineHttpMiddleware({
  type: 'middleware.http.oauth2clientcredentials',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Adds an OAuth 2 token to requests, fetched with the client credentials flow and kept until it expires. Where the token service gives none the request ends with 500.',
  metadata: schema({
    headerName: field.text().default('').describe('Header that gets `<type> <token>`, beside what it has. Needed'),
    clientID: field.text().default('').describe('Needed'),
    clientSecret: field.text().default('').describe('Needed'),
    scopes: field.text().default('').describe('Separated by commas. Needed'),
    tokenURL: field.text().default('').describe('Address of the token service. Needed'),
    endpointParamsQuery: field.text().default('').describe('More parameters for the token service, as a query: `resource=abc&x=1`'),
    authStyle: field.text().default('0').describe('How the credentials are sent: 1 in the form, 2 as basic authentication, 0 whichever works'),
    pathFilter: field.text().default('').describe('Regular expression (RE2): only requests whose path matches get the token; default all'),
  }),
  open: async (metadata, { host, log }) => {
    const { headerName, clientID, clientSecret, scopes, tokenURL, endpointParamsQuery } = metadata;
    const authStyle = Number(metadata.authStyle || '0');
    if (!Number.isInteger(authStyle)) throw new MetadataError(`metadata errors: 1 error(s) decoding:\n\n* cannot parse 'authStyle' as int: strconv.ParseInt: parsing ${JSON.stringify(metadata.authStyle)}: invalid syntax`);
    const problems = (['headerName', 'clientID', 'clientSecret', 'scopes', 'tokenURL'] as const).filter((name) => metadata[name] === '').map((name) => `Parameter '${name}' needs to be set. `);
    let filter: GoRegExp | undefined;
    if (metadata.pathFilter !== '') {
      try {
        filter = await goRegExp(metadata.pathFilter);
      } catch (error) {
        problems.push(`Parameter 'pathFilter' is not a valid regex: ${textOf(error)}. `);
      }
    }
    if (![0, 1, 2].includes(authStyle)) problems.push(`Parameter 'authStyle' can only have the values 0,1,2. Received: '${metadata.authStyle}'. `);
    if (problems.length > 0) throw new MetadataError(`metadata errors: ${problems.join('')}`);

    const more = parseQuery(endpointParamsQuery);
    const form: [string, string][] = [['grant_type', 'client_credentials'], ['scope', scopes.split(',').join(' ')]];
    const ask = tokenClient(host.http, { tokenUrl: tokenURL, clientId: clientID, clientSecret, authStyle });
    let token: Token | undefined;
    let asking: Promise<Token> | undefined;

    const fetchToken = async (): Promise<Token> => {
      if (more.some(([name]) => name === 'scope')) throw new Error('oauth2: cannot overwrite parameter "scope"');
      log.info('Cached token not found, attempting to retrieve a new one');
      token = await ask([...form.filter(([name]) => !more.some(([other]) => other === name)), ...more]);
      token.expires ??= Date.now() + usualLifeMs;
      return token;
    };
    /** One request to the service, however many wait for it. */
    const current = async (): Promise<Token> => {
      if (token?.expires !== undefined && token.expires > Date.now()) return token;
      asking ??= fetchToken().finally(() => { asking = undefined; });
      return asking;
    };

    return {
      handle: async (request, next) => {
        if (filter !== undefined && !filter.test(urlOf(request.target).path)) return next(request);
        let header: string;
        try {
          ({ header } = await current());
        } catch (error) {
          log.error(`Error acquiring token: ${textOf(error)}`);
          return statusAnswer(500);
        }
        return next({ ...request, headers: withMoreOf(request.headers, headerName, header) });
      },
      close: async () => undefined,
    };
  },
});
