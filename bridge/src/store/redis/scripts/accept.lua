-- key, digest, content, twin, call, sender, identifier, lane, over_ms, envelope, raw, has_derived, derived,
-- then sender and identifier of each reference
local key, call = ARGV[1], ARGV[5]
local known = redis.call('HMGET', SEEN .. key, 'digest', 'content', 'call', 'chain')
if known[1] then
  -- Our own call again: its answer was lost.
  if known[3] == call then return { 'new', known[4] } end
  if known[1] == ARGV[2] then
    redis.call('HINCRBY', SEEN .. key, 'repeats', 1)
    return { 'repeat', '' }
  end
  if known[2] == ARGV[3] then
    redis.call('HINCRBY', SEEN .. key, 'repeats', 1)
    return { 'linked', key }
  end
  return { 'conflict', '' }
end
if ARGV[4] ~= '' then
  local first = redis.call('GET', TWIN .. ARGV[4])
  if first then
    redis.call('HINCRBY', SEEN .. first, 'repeats', 1)
    return { 'linked', first }
  end
  redis.call('SET', TWIN .. ARGV[4], key)
end

-- By sender and identifier, else by identifier alone: the sender part of real references is sometimes wrong.
local chain
for i = 14, #ARGV, 2 do
  chain = chain or redis.call('HGET', REFERENCE .. ARGV[i + 1], 'by ' .. ARGV[i])
end
for i = 14, #ARGV, 2 do
  chain = chain or redis.call('HGET', REFERENCE .. ARGV[i + 1], 'first')
end
chain = chain or key

local seq = redis.call('INCR', SEQ)
redis.call('HSET', SEEN .. key, 'digest', ARGV[2], 'content', ARGV[3], 'chain', chain, 'call', call)
redis.call('HSETNX', REFERENCE .. ARGV[7], 'by ' .. ARGV[6], chain)
redis.call('HSETNX', REFERENCE .. ARGV[7], 'first', chain)
local entry = redis.call('XADD', INBOX, '*', 'key', key)
redis.call('HSET', ALERT .. key, 'envelope', ARGV[10], 'raw', ARGV[11], 'chain', chain, 'identifier', ARGV[7],
  'lane', ARGV[8], 'seq', seq, 'entry', entry, 'open', 0, 'over_ms', ARGV[9])
if ARGV[12] == '1' then redis.call('HSET', ALERT .. key, 'derived', ARGV[13]) end
redis.call('ZADD', ALERTS, seq, key)
redis.call('ZADD', ALERT_KEYS, 0, key)
redis.call('ZADD', NAMED .. ARGV[7], seq, key)
redis.call('ZADD', CHAIN .. chain, seq, key)
redis.call('ZADD', UNROUTED .. chain, seq, key)
return { 'new', chain }
