-- now_ms, lease_ms, limit, consumer, group
local limit, out, ours = tonumber(ARGV[3]), {}, {}

-- Whether one before it in its chain is with somebody else: routing keeps the order of a chain.
local function is_behind(key, seq)
  local chain = redis.call('HGET', ALERT .. key, 'chain')
  for _, before in ipairs(redis.call('ZRANGEBYSCORE', UNROUTED .. chain, '-inf', '(' .. seq)) do
    if not ours[before] then return true end
  end
  return false
end

local function hand_out(key, seq)
  if is_behind(key, seq) then
    -- Looked at again in a moment.
    redis.call('ZADD', INBOX_LEASES, tonumber(ARGV[1]) + 250, member(key, seq))
    return
  end
  ours[key] = true
  redis.call('ZADD', INBOX_LEASES, ARGV[2], member(key, seq))
  out[#out + 1] = redis.call('HMGET', ALERT .. key, 'envelope', 'chain', 'raw', 'derived')
end

-- Leases that ran out: whoever had these is gone.
local lost = {}
for _, m in ipairs(redis.call('ZRANGEBYSCORE', INBOX_LEASES, '-inf', ARGV[1], 'LIMIT', 0, limit)) do
  local key = id_of(m)
  local a = redis.call('HMGET', ALERT .. key, 'entry', 'seq')
  redis.call('XCLAIM', INBOX, ARGV[5], ARGV[4], 0, a[1], 'JUSTID')
  lost[#lost + 1] = { key, tonumber(a[2]) }
end
table.sort(lost, function(one, other) return one[2] < other[2] end)
for _, l in ipairs(lost) do hand_out(l[1], l[2]) end

if #out < limit then
  local read = { 'XREADGROUP', 'GROUP', ARGV[5], ARGV[4], 'COUNT', limit - #out, 'STREAMS', INBOX, '>' }
  local reply = redis.pcall(unpack(read))
  if reply and reply.err then
    -- The group is gone (an emptied server): made again from the beginning, never from `$`.
    redis.call('XGROUP', 'CREATE', INBOX, ARGV[5], '0', 'MKSTREAM')
    reply = redis.call(unpack(read))
  end
  if reply then
    for _, entry in ipairs(reply[1][2]) do
      local key = entry[2][2]
      hand_out(key, redis.call('HGET', ALERT .. key, 'seq'))
    end
  end
end
return out
