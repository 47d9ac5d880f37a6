import { expect, it } from 'vitest';
import { sniffContentType } from './sniff.ts';

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
it.each([
  ['<html><body>x', 'text/html; charset=utf-8'], ['  \n<!doctype html>', 'text/html; charset=utf-8'], ['<a>', 'text/html; charset=utf-8'], ['<abc>', 'text/plain; charset=utf-8'],
  ['<?xml version="1.0"?>', 'text/xml; charset=utf-8'], ['{"a":1}', 'text/plain; charset=utf-8'], ['', 'text/plain; charset=utf-8'],
  ['\x89PNG\r\n\x1a\n', 'image/png'], ['RIFF1234WEBPVP', 'image/webp'], ['%PDF-1.7', 'application/pdf'], ['\x1f\x8b\x08', 'application/x-gzip'],
  ['\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp41isom', 'video/mp4'], ['\x00\x01\x02\x03', 'application/octet-stream'], ['\x1b[1m', 'text/plain; charset=utf-8'],
])('%j is %s', (text, type) => expect(sniffContentType(bytes(text))).toBe(type));
