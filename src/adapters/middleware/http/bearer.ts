// middleware.http.bearer: only requests with a valid token (JWT) of an OpenID Connect issuer get through.
import type { JWK } from 'jose';
import { textOf } from '../../../core/errors.ts';
import { parseWhole } from '../../../core/go-json.ts';
import { headerOf } from '../../../core/host.ts';
import { field, MetadataError, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware } from '../../../blocks/middleware/port.ts';
import { statusAnswer } from '../answers.ts';
import { fetchText } from '../fetch-text.ts';

/** Clocks may differ by so many seconds. */
const skew = 300;
/** The keys are read anew after this time, beside the requests that use the old ones. */
const refreshMs = 10 * 60_000;
/** A key nobody knows has them read at once, but not more often than this. */
const shortestMs = 30_000;

export default defineHttpMiddleware({
  type: 'middleware.http.bearer',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Verifies the JWT of the Authorization header: signature, issuer, audience and time. What has none gets 401.',
  metadata: schema({
    issuer: field.text().default('').describe('Issuer the tokens must name, such as https://accounts.google.com. Needed'),
    audience: field.text().default('').describe('Audience the tokens must be for, usually a client id. Needed'),
    jwksURL: field.text().default('').describe('Address of the keys; default: what the issuer says at /.well-known/openid-configuration'),
  }, { issuerURL: 'issuer', clientID: 'audience' }),
  open: async ({ issuer, audience, jwksURL }, { host, log, signal }) => {
    if (issuer === '') throw new MetadataError("metadata property 'issuer' is required");
    if (audience === '') throw new MetadataError("metadata property 'audience' is required");
    const { decodeProtectedHeader, jwtVerify } = await import('jose');
    const fetchJson = async (address: string, during?: AbortSignal): Promise<Record<string, unknown>> => {
      const { status, text } = await fetchText(host.http, address, during ? { signal: during } : {}).catch((error: unknown) => { throw new Error(`failed to execute request: ${textOf(error)}`, { cause: error }); });
      if (status !== 200) throw new Error(`invalid response status code: ${status}`);
      try {
        const read = parseWhole(text);
        if (typeof read !== 'object' || read === null) throw new Error('it is no JSON object');
        return read as Record<string, unknown>;
      } catch (error) {
        throw new Error(`failed to decode JSON response: ${textOf(error)}`, { cause: error });
      }
    };

    const discover = async (): Promise<string> => {
      const document = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
      if (typeof document.jwks_uri !== 'string' || document.jwks_uri === '') throw new Error("the OpenID Configuration document does not contain a 'jwks_uri'");
      if (document.issuer !== issuer) throw new Error(`the issuer found in the OpenID Configuration document ('${document.issuer}') doesn't match the one provided in the component's metadata ('${issuer}')`);
      return document.jwks_uri;
    };
    const address = jwksURL || (await discover().catch((error: unknown) => { throw new Error(`failed to retrieve OpenID Configuration document: ${textOf(error)}`, { cause: error }); }));

    let keys: readonly JWK[] = [];
    let readAt = 0;
    let reading: Promise<void> | undefined;
    const readKeys = async (during?: AbortSignal): Promise<void> => {
      const { keys: found } = await fetchJson(address, during);
      if (!Array.isArray(found)) throw new Error('it holds no keys');
      keys = found as JWK[];
    };
    const refresh = (): Promise<void> => {
      readAt = Date.now(); // whether it succeeds or not: a service that is away is not asked with every request
      reading ??= readKeys().catch((error: unknown) => log.warn(`Error while refreshing JWKS cache: ${textOf(error)}`)).finally(() => { reading = undefined; });
      return reading;
    };
    await readKeys(signal).catch((error: unknown) => { throw new Error(`failed to fetch JWKS: failed to fetch ${JSON.stringify(address)}: ${textOf(error)}`, { cause: error }); });
    readAt = Date.now();

    const keyOf = async (kid: string): Promise<JWK | undefined> => {
      const age = Date.now() - readAt;
      const find = () => keys.find((key) => key.kid === kid);
      const known = find();
      if (known !== undefined) {
        if (age > refreshMs) {
          const refreshed = refresh();
          if (!host.background) await refreshed; // nothing outlives the request there
        }
        return known;
      }
      if (reading === undefined && age <= shortestMs) return undefined;
      await (reading ?? refresh());
      return find();
    };

    /** Throws where the token is not good. */
    const verify = async (token: string): Promise<void> => {
      const { kid, alg } = decodeProtectedHeader(token);
      if (typeof kid !== 'string' || kid === '' || typeof alg !== 'string') throw new Error('the token names no key');
      const jwk = await keyOf(kid);
      if (jwk === undefined || (jwk.use !== undefined && jwk.use !== '' && jwk.use !== 'sig') || (jwk.alg !== undefined && jwk.alg !== '' && jwk.alg !== alg)) throw new Error('no key for it');
      const { payload } = await jwtVerify(token, jwk, { algorithms: [alg], issuer, audience, clockTolerance: skew, requiredClaims: ['exp'] });
      if (payload.iat !== undefined && payload.iat > Date.now() / 1000 + skew) throw new Error('it is from the future');
    };

    return {
      handle: async (request, next) => {
        const header = headerOf(request.headers, 'authorization') ?? '';
        const token = header.slice(7).trim();
        if (!/^bearer $/i.test(header.slice(0, 7)) || token.length < 10) return statusAnswer(401);
        try {
          await verify(token);
        } catch (error) {
          log.debug(`a token was refused: ${textOf(error)}`);
          return statusAnswer(401);
        }
        return next(request);
      },
      close: async () => undefined,
    };
  },
});
