-- Adds a message to a queue that has none of its ID. A member of due is the order of sending in 16 digits and the ID, so
-- that messages due at the same millisecond keep their order.
-- KEYS: as below. ARGV: operation's lifetime in seconds, length of the bell, queue, ID, payload.
local done, messages, states, due, sequence, bell = unpack(KEYS)
local seconds, length, queue, id, payload = unpack(ARGV)

if redis.call('EXISTS', done) == 1 or redis.call('HEXISTS', messages, id) == 1 then return 0 end

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local order = string.format('%016.0f', redis.call('INCR', sequence))
redis.call('HSET', messages, id, payload)
redis.call('HSET', states, id, '0 ' .. now .. ' ' .. order)
redis.call('ZADD', due, now, order .. id)
redis.call('XADD', bell, 'MAXLEN', '=', length, '*', 'changed', 'queue ' .. queue)
redis.call('SET', done, id, 'EX', seconds)
return 1
