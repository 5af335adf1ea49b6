-- key, digest, content, twin, call, sender, identifier, lane, over_ms, envelope, raw, has_derived, derived, origin,
-- sighting, sent_ms, hold_ms, name, follows (names, separated by blanks), where the events of a link begin, events if
-- new, events if linked
local key, call, origin, name = ARGV[1], ARGV[5], ARGV[14], ARGV[18]
local follows = {}
for followed in string.gmatch(ARGV[19], '%S+') do follows[#follows + 1] = followed end

-- Counts a repeat on the first, and notes a source that had not brought it: the alert is routed again for it.
local function again(first)
  redis.call('HINCRBY', SEEN .. first, 'repeats', 1)
  local alert = ALERT .. first
  if redis.call('EXISTS', alert) == 0 then
    -- It comes again after it was swept: known as long as that goes on.
    redis.call('ZADD', FORGET, 'XX', 'GT', ARGV[9], 's:' .. first)
    return { 'repeat', '' }
  end
  if redis.call('HSETNX', alert, 'from ' .. origin, 1) == 0 then
    return { 'repeat', '' }
  end
  redis.call('HSET', alert, 'also', (redis.call('HGET', alert, 'also') or '') .. ARGV[15] .. '\n')
  await(first)
  note(tonumber(ARGV[20]), first)
  return { 'linked', first }
end

local known = redis.call('HMGET', SEEN .. key, 'digest', 'content', 'call', 'outcome', 'chain')
if known[1] then
  -- Our own call again: its answer was lost.
  if known[3] == call then return { known[4], known[5] } end
  if known[1] == ARGV[2] or known[2] == ARGV[3] then return again(key) end
  return { 'conflict', '' }
end
if ARGV[4] ~= '' then
  local first = redis.call('GET', TWIN .. ARGV[4])
  if first then return again(first) end
  redis.call('SET', TWIN .. ARGV[4], key)
end

local outcome, hold_ms, chains, seen = 'new', ARGV[17], {}, {}
for i = 1, #follows + 1 do
  local chain, accepted = chain_of(follows[i] or name)
  if chain and not seen[chain] then
    seen[chain] = true
    chains[#chains + 1] = chain
  end
  if follows[i] and accepted then hold_ms = '0' end
end
if hold_ms ~= '0' then outcome = 'held' end
local chain = chains[1] or key
for i = 2, #chains do merge(chains[i], chain, ARGV[9]) end
for _, followed in ipairs(follows) do
  if redis.call('HSETNX', NAME .. followed, 'chain', chain) == 1 then
    redis.call('ZADD', FORGET, ARGV[9], 'n:' .. followed)
  end
end
if redis.call('HSETNX', NAME .. name, 'chain', chain) == 0 then redis.call('ZREM', FORGET, 'n:' .. name) end
redis.call('HSET', NAME .. name, 'accepted', 1)

-- What waited for this message waits no longer. Nothing does in a chain that it begins.
for _, m in ipairs(chains[1] and redis.call('ZRANGE', UNROUTED .. chain, 0, -1) or {}) do
  local waiting = ALERT .. id_of(m)
  local a = redis.call('HMGET', waiting, 'hold_ms', 'follows')
  if a[1] ~= '0' and string.find(a[2], name, 1, true) then
    redis.call('HSET', waiting, 'hold_ms', 0)
    -- It is looked at again now, not when its hold would have ended.
    redis.call('ZADD', INBOX_LEASES, 'XX', 0, m)
  end
end

local seq = redis.call('INCR', SEQ)
redis.call('HSET', SEEN .. key, 'digest', ARGV[2], 'content', ARGV[3], 'chain', chain, 'call', call, 'outcome', outcome)
redis.call('HSET', ALERT .. key, 'envelope', ARGV[10], 'raw', ARGV[11], 'chain', chain, 'identifier', ARGV[7],
  'lane', ARGV[8], 'seq', seq, 'open', 0, 'over_ms', ARGV[9], 'sent_ms', ARGV[16], 'hold_ms', hold_ms, 'lease_ms', 0,
  'waits', 1, 'entry', line_up(key, seq, chain, ARGV[16], ARGV[8]), 'follows', ARGV[19], 'name', name, 'from ' .. origin, 1)
if ARGV[4] ~= '' then redis.call('HSET', ALERT .. key, 'twin', ARGV[4]) end
if ARGV[12] == '1' then redis.call('HSET', ALERT .. key, 'derived', ARGV[13]) end
redis.call('ZADD', ALERTS, seq, key)
redis.call('ZADD', ALERT_KEYS, 0, key)
redis.call('ZADD', NAMED .. ARGV[7], seq, key)
redis.call('ZADD', CHAIN .. chain, ARGV[16], member(key, seq))
note(21, nil, key)
return { outcome, chain }
