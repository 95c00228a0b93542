-- Writes or deletes a record whose revision is the expected one.
-- KEYS: as below. ARGV: operation's lifetime in seconds, length of the bell, kind, name, expected revision ('0': none),
-- value ('': delete), deletions to remember.
-- Returns {1, new revision} or {0, present revision}.
local done, revision, records, names, revisions, deleted, trimmed, bell = unpack(KEYS)
local seconds, length, kind, name, expected, value, limit = unpack(ARGV)

local before = redis.call('GET', done)
if before then return {1, before} end

local record = redis.call('HGET', records, name)
local present = record and string.match(record, '^%d+') or '0'
if present ~= expected or (present == '0' and value == '') then return {0, present} end

local written = string.format('%.0f', redis.call('INCR', revision))
if value ~= '' then
  redis.call('HSET', records, name, written .. ' ' .. value)
  redis.call('ZADD', names, 0, name)
  redis.call('ZREM', deleted, name)
else
  redis.call('HDEL', records, name)
  redis.call('ZREM', names, name)
  redis.call('ZADD', deleted, written, name)
  while redis.call('ZCARD', deleted) > tonumber(limit) do
    local oldest = redis.call('ZPOPMIN', deleted)
    redis.call('ZREM', revisions, oldest[1])
    redis.call('SET', trimmed, oldest[2])
  end
end
redis.call('ZADD', revisions, written, name)
redis.call('XADD', bell, 'MAXLEN', '=', length, '*', 'changed', 'record ' .. kind)
redis.call('SET', done, written, 'EX', seconds)
return {1, written}
