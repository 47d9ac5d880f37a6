// The one place where an error becomes an HTTP answer.
import { DaprError, rows, textOf } from '../../core/errors.ts';
import { goStringify } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import { type HttpCall, json } from './call.ts';

/** `{"errorCode":…,"message":…,"details":[…]}`, compact, HTML-escaped, no line break at the end. */
export function errorBody(error: unknown): { status: number; text: string } {
  if (!(error instanceof DaprError)) return { status: rows.unknown.http, text: goStringify({ errorCode: rows.unknown.code, message: textOf(error) }) };
  const { row, details } = error;
  return { status: error.http, text: goStringify({ errorCode: row.code || row.reason || '', message: error.message, ...(details.length ? { details } : {}) }) };
}

/** Errors without a row are ours to look at: logged once, here. */
export function renderError(call: HttpCall, error: unknown, log: Logger): Response {
  if (!(error instanceof DaprError)) log.error(`unexpected error in ${call.incoming.method} ${call.path}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const { status, text } = errorBody(error);
  return json(call, status, text);
}
