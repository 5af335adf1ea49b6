-- seen, call, number of documents, documents (kind and name, body), events
local call, count = CALL .. ARGV[2], tonumber(ARGV[3])
local revision = tonumber(ARGV[1])
-- A call whose answer was lost gave this answer.
if redis.call('EXISTS', call) == 1 then return revision + count end
local newest = redis.call('ZREVRANGE', REGISTERED_ORDER, 0, 0, 'WITHSCORES')[2]
if tonumber(newest or 0) ~= revision then return -1 end
redis.call('SET', call, 1, 'EX', 3600)
for i = 4, 3 + 2 * count, 2 do
  revision = revision + 1
  redis.call('HSET', REGISTERED, ARGV[i], ARGV[i + 1])
  redis.call('ZADD', REGISTERED_ORDER, revision, ARGV[i])
end
note(4 + 2 * count)
return revision
