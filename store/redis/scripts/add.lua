-- Adds to counters, all or none. KEYS: done, counters. ARGV: operation's lifetime in seconds, name, delta, name, delta, ...
-- Returns the name of the counter that would leave the range of 64 bits, or ''.
local done, counters = unpack(KEYS)

if redis.call('EXISTS', done) == 1 then return '' end
local before = {}
for i = 2, #ARGV, 2 do
  before[i] = redis.call('HGET', counters, ARGV[i])
  local sum = redis.pcall('HINCRBY', counters, ARGV[i], ARGV[i + 1])
  if type(sum) == 'table' and sum.err then -- a script's writes stay unless it takes them back
    for j = 2, i - 2, 2 do
      if before[j] then
        redis.call('HSET', counters, ARGV[j], before[j])
      else
        redis.call('HDEL', counters, ARGV[j])
      end
    end
    if string.find(sum.err, 'overflow') then return ARGV[i] end
    return sum
  end
end
redis.call('SET', done, '', 'EX', ARGV[1])
return ''
