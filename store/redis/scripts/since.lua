-- Reads one page of the changes after a revision, in order of revision; of each record only the last.
-- KEYS: as below. ARGV: revision, most changes, bytes after which a page ends.
-- Returns {history, newest revision, trimmed, 1 if there is more, name, revision, record or false if deleted, ...}.
local history, revision, trimmed, revisions, records = unpack(KEYS)
local after, most, full = unpack(ARGV)

local found = redis.call('ZRANGEBYSCORE', revisions, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local page, bytes = {
  redis.call('GET', history) or '', redis.call('GET', revision) or '0', redis.call('GET', trimmed) or '0',
  #found == 2 * tonumber(most) and 1 or 0,
}, 0
for i = 1, #found, 2 do
  local record = redis.call('HGET', records, found[i])
  page[#page + 1] = found[i]
  page[#page + 1] = found[i + 1]
  page[#page + 1] = record
  bytes = bytes + (record and #record or 0)
  if bytes > tonumber(full) and i + 1 < #found then
    page[4] = 1
    break
  end
end
return page
