-- Reads one page of records in byte order of their names. KEYS: names, records. ARGV: bounds as ZRANGEBYLEX has them, most
-- records, bytes after which a page ends.
-- Returns {1 if there is more, name, record, name, record, ...}.
local names, records = unpack(KEYS)
local from, to, most, full = unpack(ARGV)

local found = redis.call('ZRANGEBYLEX', names, from, to, 'LIMIT', 0, most)
local page, bytes = {#found == tonumber(most) and 1 or 0}, 0
for i, name in ipairs(found) do
  local record = redis.call('HGET', records, name)
  page[#page + 1] = name
  page[#page + 1] = record
  bytes = bytes + #record
  if bytes > tonumber(full) and i < #found then
    page[1] = 1
    break
  end
end
return page
