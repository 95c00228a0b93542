-- Removes a received message, or sets when it is due again.
-- KEYS: as below. ARGV: operation's lifetime in seconds, length of the bell, queue, ID, attempt, milliseconds to hide the
-- message ('': remove it).
-- Returns 'ok', 'gone', or 'taken' if it has been delivered again since.
local done, messages, states, due, bell = unpack(KEYS)
local seconds, length, queue, id, attempt, hidden = unpack(ARGV)

if redis.call('EXISTS', done) == 1 then return 'ok' end
local state = redis.call('HGET', states, id)
if not state then return 'gone' end
local present, order = string.match(state, '^(%d+) %d+ (%d+)$')
if present ~= attempt then return 'taken' end

if hidden == '' then
  redis.call('HDEL', messages, id)
  redis.call('HDEL', states, id)
  redis.call('ZREM', due, order .. id)
else
  local time = redis.call('TIME')
  redis.call('ZADD', due, string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + hidden), order .. id)
  redis.call('XADD', bell, 'MAXLEN', '=', length, '*', 'changed', 'queue ' .. queue)
end
redis.call('SET', done, '', 'EX', seconds)
return 'ok'
