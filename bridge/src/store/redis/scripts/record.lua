-- expected_hash, genesis, process, batch, then event, hash and alert of each entry
local done = redis.call('GET', AUDIT_BATCH .. ARGV[3])
if done and tonumber(done) >= tonumber(ARGV[4]) then
  -- Our own call again: its answer was lost.
  return { 'ok', redis.call('HGET', AUDIT_HEAD, 'hash') or ARGV[2] }
end
local head = redis.call('HGET', AUDIT_HEAD, 'hash') or ARGV[2]
if head ~= ARGV[1] then return { 'moved', head } end
for i = 5, #ARGV, 3 do
  redis.call('XADD', AUDIT, '*', 'event', ARGV[i], 'hash', ARGV[i + 1])
  head = ARGV[i + 1]
  local alert = ARGV[i + 2]
  -- Nobody reads the journey of an alert that was swept.
  if alert ~= '' and (redis.call('EXISTS', ALERT .. alert) == 1 or redis.call('EXISTS', SEEN .. alert) == 0) then
    redis.call('RPUSH', EVENTS .. alert, ARGV[i])
  end
end
redis.call('HSET', AUDIT_HEAD, 'hash', head)
redis.call('HINCRBY', AUDIT_HEAD, 'n', (#ARGV - 4) / 3)
redis.call('SET', AUDIT_BATCH .. ARGV[3], ARGV[4], 'EX', 3600)
return { 'ok', head }
