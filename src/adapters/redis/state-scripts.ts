// The Lua by which state is written to Redis: one hash per key, checked and counted in one step (the truth table stands above the script).

/** What one operation of the script does; the letters of its first argument. */
export type ScriptOperation = {
  key: string;
  /** `set`; `mark` is a set that leaves the first-write marker; `delete`. */
  action: 'set' | 'mark' | 'delete';
  /** Compared with the stored version as text; '0' = none given. */
  etag: string;
  data: Uint8Array;
  /** '' leaves the lifetime as it is, '0' takes it away, else seconds. */
  ttl: string;
  /** The value is a RedisJSON document instead of a hash. */
  json: boolean;
};

/** What the script answers per operation when it did not do it for the etag's or the marker's sake. */
export const refused = 'refused';

/**
 * KEYS: one per operation. ARGV: four per operation: flags, etag, data, lifetime.
 * Flags: `s`et, `m`ark, `d`elete; then `j` for a document; then `p` when the data is packed (see pack).
 * Answers a list: '' for done, 'refused', or the text of an error. One operation's trouble does not stop the next, as in MULTI/EXEC.
 *
 * A key of another type is replaced by a hash, but not by a document. A hash without version is written whatever the etag. The marker makes every later write need the
 * version; only a delete removes it (in a document: the next write that does not ask for it). The count comes before the data, so a
 * version that is no number changes nothing.
 */
export const writeScript = `
local function versionOf(key, json)
  local version
  if json then version = redis.pcall('JSON.GET', key, '.version') else version = redis.pcall('HGET', key, 'version') end
  if type(version) == 'table' then return false, version.err end
  if version == '' then version = false end
  return version
end
local function marked(key, json)
  local mark
  if json then mark = redis.pcall('JSON.GET', key, '.first-write') else mark = redis.pcall('HGET', key, 'first-write') end
  return mark and type(mark) ~= 'table'
end
local function set(key, json, mark, etag, data, ttl)
  local version, trouble = versionOf(key, json)
  if trouble then
    if json and (string.find(trouble, 'nknown', 1, true) or string.find(trouble, 'wrong Redis type', 1, true)) then return trouble end
    redis.call('DEL', key)
  end
  if version and version ~= etag and (etag ~= '0' or marked(key, json)) then return 'refused' end
  if json then
    local count = string.format('%.0f', tonumber(version or etag) + 1)
    redis.call('JSON.SET', key, '$', '{"data":' .. data .. (mark and ',"first-write":0' or '') .. ',"version":' .. count .. '}')
  else
    local count = redis.pcall('HINCRBY', key, 'version', 1)
    if type(count) == 'table' then return count.err end
    redis.call('HSET', key, 'data', data)
    if mark then redis.call('HSET', key, 'first-write', '0') end
  end
  if ttl == '0' then redis.call('PERSIST', key) elseif ttl ~= '' then redis.call('EXPIRE', key, ttl) end
  return ''
end
local function delete(key, json, etag)
  if etag ~= '0' then
    local version = versionOf(key, json)
    if version and version ~= etag then return 'refused' end
  end
  redis.call('DEL', key)
  return ''
end
local function unpacked(text)
  return (string.gsub(text, '([\\194\\195])(.)', function(high, low) return string.char((string.byte(high) - 194) * 64 + string.byte(low)) end))
end
local answers = {}
for i = 1, #KEYS do
  local flags, etag, data, ttl = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local json = string.find(flags, 'j', 2, true) ~= nil
  if string.find(flags, 'p', 2, true) then data = unpacked(data) end
  local action = string.sub(flags, 1, 1)
  if action == 'd' then answers[i] = delete(KEYS[i], json, etag) else answers[i] = set(KEYS[i], json, action == 'm', etag, data, ttl) end
end
return answers
`;

/**
 * KEYS: one. ARGV: 'j' for a document, else ''. Reads over a wire that carries texts only.
 * Answers an empty list for a missing key, else data, version and 'p' when the data is packed (which only bytes above 127 need).
 * A plain string has no version; a hash without one of both has a nil there.
 */
export const readScript = `
local key = KEYS[1]
if ARGV[1] == 'j' then
  local document = redis.call('JSON.GET', key)
  if document then return {document, false, ''} end
  return {}
end
local data, version
local fields = redis.pcall('HMGET', key, 'data', 'version')
if not fields.err then
  data, version = fields[1], fields[2]
  if not data and not version and redis.call('EXISTS', key) == 0 then return {} end
else
  if not string.find(fields.err, 'WRONGTYPE', 1, true) then return fields end
  data, version = redis.pcall('GET', key), ''
  if type(data) == 'table' then return data end
end
if data and string.find(data, '[\\128-\\255]') then
  local packed = {}
  for byte = 128, 255 do packed[string.char(byte)] = string.char(192 + math.floor(byte / 64), 128 + byte % 64) end
  return {(string.gsub(data, '[\\128-\\255]', packed)), version, 'p'}
end
return {data, version, ''}
`;

/** Any bytes as text, one character (U+0000 to U+00FF) per byte: the form in which the script takes bytes over a text-only wire. */
export function pack(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** The bytes of a text that `pack` or the reading script made. */
export function unpack(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export const flagsOf = ({ action, json }: ScriptOperation, packed: boolean): string => `${action[0]}${json ? 'j' : ''}${packed ? 'p' : ''}`;
