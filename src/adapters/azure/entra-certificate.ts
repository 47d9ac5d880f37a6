// A certificate by which an application proves itself to Microsoft Entra ID: read from PKCS #12 or PEM, used to sign an assertion.
import { fromBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { EntraSettings } from './entra-settings.ts';
import { type Application, tokenAddress } from './entra-token.ts';

type Bytes = Uint8Array<ArrayBuffer>;
export interface SigningCertificate {
  /** PKCS #8, DER. */
  key: Bytes;
  /** SHA-256 of the certificate, base64url. */
  thumbprint: string;
}

/** Throws in upstream's words where it is none. */
export async function signingCertificate(host: Host, { azureCertificate, azureCertificateFile, azureCertificatePassword }: EntraSettings): Promise<SigningCertificate> {
  const content = azureCertificateFile === '' ? utf8(azureCertificate) : await readFile(host, azureCertificateFile);
  if (content.length === 0) throw new Error('certificate is not given');
  const text = textOfBytes(content);
  try {
    const { key, certificate } = text.includes('-----BEGIN ') ? fromPem(text) : await fromPkcs12(azureCertificateFile === '' ? fromBase64(text.replace(/\s+/g, '')) : content, azureCertificatePassword);
    return { key, thumbprint: base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', certificate))) };
  } catch (error) {
    throw new Error(`failed to decode pkcs12 certificate while creating spt: certificate is not valid: ${textOf(error)}`, { cause: error });
  }
}

async function readFile(host: Host, path: string): Promise<Uint8Array> {
  if (host.files === undefined) throw new Error(`this runtime (${host.runtime}) has no files to read a certificate from; use azureCertificate`);
  return host.files.read(path).catch((error) => {
    throw new Error(`failed to read the certificate file (${path}): ${textOf(error)}`, { cause: error });
  });
}

/** The first certificate and the first key. */
function fromPem(text: string): { key: Bytes; certificate: Bytes } {
  let key: Bytes | undefined;
  let certificate: Bytes | undefined;
  for (const [, kind, inside] of text.matchAll(/-----BEGIN ([A-Z ]+)-----([^-]+)-----END \1-----/g)) {
    const der = fromBase64((inside as string).replace(/\s+/g, ''));
    if (kind === 'CERTIFICATE') certificate ??= der;
    else if (kind === 'PRIVATE KEY') key ??= der;
    else if (kind === 'RSA PRIVATE KEY') key ??= asPkcs8(der);
  }
  if (key === undefined || certificate === undefined) throw new Error('a CERTIFICATE and a PRIVATE KEY are needed');
  return { key, certificate };
}

/** The RSA key, and the certificate that belongs to it. */
async function fromPkcs12(content: Uint8Array, password: string): Promise<{ key: Bytes; certificate: Bytes }> {
  const { default: forge } = await import('node-forge');
  const { asn1, pki, pkcs12 } = forge;
  const der = (node: Parameters<typeof asn1.toDer>[0]): Bytes => Uint8Array.from(asn1.toDer(node).getBytes(), (c) => c.charCodeAt(0));
  const store = pkcs12.pkcs12FromAsn1(asn1.fromDer(forge.util.createBuffer(textOfBinary(content))), password);
  const bagsOf = (...types: (string | undefined)[]) => types.flatMap((bagType) => (bagType === undefined ? [] : (store.getBags({ bagType })[bagType] ?? [])));
  const [key] = bagsOf(pki.oids.pkcs8ShroudedKeyBag, pki.oids.keyBag);
  if (key?.key === undefined || key.key === null) throw new Error('it holds no RSA private key');
  const idOf = (bag: { attributes: { localKeyId?: unknown[] } }) => String(bag.attributes.localKeyId?.[0] ?? '');
  const certificates = bagsOf(pki.oids.certBag);
  const own = certificates.find((bag) => idOf(bag) !== '' && idOf(bag) === idOf(key)) ?? certificates[0];
  if (own === undefined) throw new Error('it holds no certificate');
  return { key: der(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(key.key))), certificate: der(own.cert ? pki.certificateToAsn1(own.cert) : own.asn1) };
}

const textOfBinary = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const base64url = (bytes: Uint8Array): string => btoa(textOfBinary(bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

/** A PKCS #1 RSA key in the envelope that Web Crypto reads (RFC 5208). */
function asPkcs8(pkcs1: Uint8Array): Bytes {
  const algorithm = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]; // rsaEncryption
  return tagged(0x30, Uint8Array.from([0x02, 0x01, 0x00, ...algorithm, ...tagged(0x04, pkcs1)]));
}
function tagged(tag: number, content: Uint8Array): Bytes {
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
