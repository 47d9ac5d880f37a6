// A certificate by which an application proves itself to Microsoft Entra ID: read from PEM, used to sign an assertion.
import { fromBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { Application } from './entra-token.ts';
import { tokenAddress } from './entra-token.ts';
import type { EntraSettings } from './entra-settings.ts';

export interface SigningCertificate {
  /** PKCS #8, DER. */
  key: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the certificate, base64url. */
  thumbprint: string;
}

/** Throws in upstream's words where it is none. */
export async function signingCertificate(host: Host, { azureCertificate, azureCertificateFile }: EntraSettings): Promise<SigningCertificate> {
  const text = azureCertificateFile === '' ? azureCertificate : await readFile(host, azureCertificateFile);
  if (text === '') throw new Error('certificate is not given');
  const certificates: Uint8Array[] = [];
  const keys: Uint8Array<ArrayBuffer>[] = [];
  for (const [, kind, inside] of text.matchAll(/-----BEGIN ([A-Z ]+)-----([^-]+)-----END \1-----/g)) {
    const der = fromBase64((inside as string).replace(/\s+/g, ''));
    if (kind === 'CERTIFICATE') certificates.push(der);
    else if (kind === 'PRIVATE KEY') keys.push(der);
    else if (kind === 'RSA PRIVATE KEY') keys.push(asPkcs8(der));
  }
  const [certificate] = certificates;
  const [key] = keys;
  if (certificate === undefined || key === undefined) throw new Error(isPem(text) ? 'certificate is not valid: one CERTIFICATE and one PRIVATE KEY are needed' : 'certificate is not valid: PKCS #12 cannot be read here, convert it with: openssl pkcs12 -in FILE -nodes -out certificate.pem');
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', certificate as Uint8Array<ArrayBuffer>));
  return { key, thumbprint: base64url(hash) };
}

const isPem = (text: string): boolean => text.includes('-----BEGIN ');
const base64url = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

async function readFile(host: Host, path: string): Promise<string> {
  if (host.files === undefined) throw new Error(`this runtime (${host.runtime}) has no files to read a certificate from; use azureCertificate`);
  try {
    return textOfBytes(await host.files.read(path));
  } catch (error) {
    throw new Error(`failed to read the certificate file (${path}): ${textOf(error)}`, { cause: error });
  }
}

/** A PKCS #1 RSA key in the envelope that Web Crypto reads (RFC 5208). */
function asPkcs8(pkcs1: Uint8Array): Uint8Array<ArrayBuffer> {
  const algorithm = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]; // rsaEncryption
  return der(0x30, Uint8Array.from([0x02, 0x01, 0x00, ...algorithm, ...der(0x04, pkcs1)]));
}
function der(tag: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = content;
  return Uint8Array.from([tag, ...(length < 0x80 ? [length] : [0x82, length >> 8, length & 0xff]), ...content]);
}

const assertionSeconds = 600;

/** Source: "Microsoft identity platform application authentication certificate credentials". */
export async function signedAssertion({ key, thumbprint }: SigningCertificate, application: Application): Promise<string> {
  const { SignJWT } = await import('jose');
  const secret = await crypto.subtle.importKey('pkcs8', key, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']).catch((error) => {
    throw new Error('certificate must contain an RSA private key', { cause: error });
  });
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint })
    .setAudience(tokenAddress(application)).setIssuer(application.clientId).setSubject(application.clientId).setJti(crypto.randomUUID())
    .setNotBefore(now).setExpirationTime(now + assertionSeconds)
    .sign(secret);
}
