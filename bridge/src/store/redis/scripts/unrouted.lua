-- now_ms, lease_ms, limit, consumer, group
local now, limit, out, ours, candidates = tonumber(ARGV[1]), tonumber(ARGV[3]), {}, {}, {}

-- Hands out the messages of a chain in the order of `sent`, up to the first that is held or with somebody else.
local function walk(chain)
  for _, m in ipairs(redis.call('ZRANGE', UNROUTED .. chain, 0, -1)) do
    if #out >= limit then return end
    local key = id_of(m)
    if not ours[key] then
      local a = redis.call('HMGET', ALERT .. key, 'envelope', 'chain', 'also', 'raw', 'derived', 'hold_ms', 'lease_ms')
      if tonumber(a[6]) > now or tonumber(a[7]) > now then return end
      ours[key] = true
      redis.call('HSET', ALERT .. key, 'lease_ms', ARGV[2])
      redis.call('ZADD', INBOX_LEASES, ARGV[2], m)
      out[#out + 1] = { a[1], a[2], a[3], a[4], a[5] }
    end
  end
end

local function candidate(key)
  local a = redis.call('HMGET', ALERT .. key, 'seq', 'chain', 'lease_ms', 'hold_ms')
  candidates[#candidates + 1] =
    { key = key, seq = tonumber(a[1]), chain = a[2], until_ms = math.max(tonumber(a[3]), tonumber(a[4])) }
end

-- Urgent ones first, and with each what its chain has before it. Their entries in the stream come up later, or never.
for _, key in ipairs(redis.call('ZRANGE', INBOX_URGENT, 0, 8 * limit - 1)) do
  if #out >= limit then break end
  local a = redis.call('HMGET', ALERT .. key, 'chain', 'lease_ms', 'hold_ms')
  if math.max(tonumber(a[2]), tonumber(a[3])) <= now then walk(a[1]) end
end
if #out >= limit then return out end

-- Those to be looked at again: their lease ran out, or they were behind something.
for _, m in ipairs(redis.call('ZRANGEBYSCORE', INBOX_LEASES, '-inf', ARGV[1], 'LIMIT', 0, limit)) do
  local key = id_of(m)
  redis.call('XCLAIM', INBOX, ARGV[5], ARGV[4], 0, redis.call('HGET', ALERT .. key, 'entry'), 'JUSTID')
  candidate(key)
end
if #candidates < limit then
  local read = { 'XREADGROUP', 'GROUP', ARGV[5], ARGV[4], 'COUNT', limit - #candidates, 'STREAMS', INBOX, '>' }
  local reply = redis.pcall(unpack(read))
  if reply and reply.err then
    -- The group is gone (an emptied server): made again from the beginning, never from `$`.
    redis.call('XGROUP', 'CREATE', INBOX, ARGV[5], '0', 'MKSTREAM')
    reply = redis.call(unpack(read))
  end
  if reply then
    for _, entry in ipairs(reply[1][2]) do candidate(entry[2][2]) end
  end
end

table.sort(candidates, function(one, other) return one.seq < other.seq end)
for _, c in ipairs(candidates) do
  if c.until_ms <= now then walk(c.chain) end
  -- Looked at again in a moment, or when its hold or the lease of another ends.
  if not ours[c.key] then
    local again = c.until_ms > now and c.until_ms or now + 250
    redis.call('ZADD', INBOX_LEASES, again, member(c.key, c.seq))
  end
end
return out
