-- Takes the message that has been due for longest and hides it.
-- KEYS: as below. ARGV: operation's lifetime in seconds, milliseconds to hide the message.
-- Returns {0, ID, payload, attempt, when sent in Unix milliseconds}, {milliseconds until one is due}, or {-1} for an empty queue.
local done, messages, states, due = unpack(KEYS)
local seconds, hidden = unpack(ARGV)

local id = redis.call('GET', done)
if not id or redis.call('HEXISTS', messages, id) == 0 then
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  if #first == 0 then return {-1} end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if tonumber(first[2]) > now then return {tonumber(first[2]) - now} end

  id = string.sub(first[1], 17)
  local attempt, sent, order = string.match(redis.call('HGET', states, id), '^(%d+) (%d+) (%d+)$')
  redis.call('HSET', states, id, string.format('%.0f', attempt + 1) .. ' ' .. sent .. ' ' .. order)
  redis.call('ZADD', due, string.format('%.0f', now + hidden), first[1])
  redis.call('SET', done, id, 'EX', seconds)
end
local attempt, sent = string.match(redis.call('HGET', states, id), '^(%d+) (%d+)')
return {0, id, redis.call('HGET', messages, id), attempt, sent}
