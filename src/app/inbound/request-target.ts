// A path of the app as a route names it, on its way to the wire.
import { cleanPath } from '../http/path.ts';

/** Path and query as they go on the wire: rooted, cleaned, escaped where a URL needs it. */
export function requestTarget(configured: string): string {
  const withoutFragment = configured.split('#', 1)[0] as string;
  const mark = withoutFragment.indexOf('?');
  const path = mark < 0 ? withoutFragment : withoutFragment.slice(0, mark);
  const escaped = (text: string) => text.replace(/[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+/g, (bad) => encodeURIComponent(bad.toWellFormed()));
  return escaped(cleanPath(path.startsWith('/') ? path : `/${path}`)) + (mark < 0 ? '' : escaped(withoutFragment.slice(mark)));
}
