-- key, routed_at, group, how many more sources it was routed for, how many deliveries, then id, endpoint, rule, due_at, due_ms, give_up_at of each, events

-- What a delivery waits for is tried no later than the delivery itself would be, and is as urgent.
local function hasten(line, newest, lane, due_at, due_ms)
  for _, id in ipairs(redis.call('ZRANGE', line, 0, -1)) do
    if id == newest then break end
    local d = redis.call('HMGET', DELIVERY .. id, 'lane', 'seq', 'state', 'head', 'due_ms')
    local m = member(id, d[2])
    if lane == 'urgent' and d[1] ~= lane then
      redis.call('HSET', DELIVERY .. id, 'lane', lane)
      redis.call('ZREM', OPEN .. d[1], id)
      redis.call('ZADD', OPEN .. lane, d[2], id)
      for _, set in ipairs({ DUE, LEASED }) do
        local at = redis.call('ZSCORE', set .. d[1], m)
        if at then
          redis.call('ZREM', set .. d[1], m)
          redis.call('ZADD', set .. lane, at, m)
        end
      end
      d[1] = lane
    end
    if d[4] == '1' and d[3] == 'waiting' and tonumber(d[5]) > tonumber(due_ms) then
      redis.call('HSET', DELIVERY .. id, 'due_at', due_at, 'due_ms', due_ms)
      redis.call('ZADD', DUE .. d[1], due_ms, m)
    end
  end
end

local key = ARGV[1]
local a = redis.call('HMGET', ALERT .. key, 'seq', 'chain', 'lane', 'waits', 'entry', 'over_ms', 'also')
if not a[1] then return 'missing' end
if a[4] ~= '1' then return 'ok' end
local chain, lane, open = a[2], a[3], 0
local events = 6 + 6 * tonumber(ARGV[5])
for i = 6, events - 1, 6 do
  local id, endpoint = ARGV[i], ARGV[i + 1]
  if redis.call('EXISTS', DELIVERY .. id) == 0 then
    local seq = redis.call('INCR', SEQ)
    local line = LINE .. chain .. ':' .. endpoint
    local head = redis.call('ZCARD', line) == 0
    redis.call('ZADD', line, seq, id)
    redis.call('HSET', DELIVERY .. id, 'endpoint', endpoint, 'alert', key, 'chain', chain, 'lane', lane,
      'rule', ARGV[i + 2], 'seq', seq, 'head', head and 1 or 0, 'state', 'queued', 'attempts', 0, 'epoch', 0,
      'queued_at', ARGV[2], 'due_at', ARGV[i + 3], 'due_ms', ARGV[i + 4], 'give_up_at', ARGV[i + 5], 'maybe', 0)
    redis.call('ZADD', DELIVERIES, seq, id)
    redis.call('ZADD', DELIVERIES_OF .. key, seq, id)
    redis.call('ZADD', OPEN .. lane, seq, id)
    if head then
      redis.call('ZADD', DUE .. lane, ARGV[i + 4], member(id, seq))
    else
      hasten(line, id, lane, ARGV[i + 3], ARGV[i + 4])
    end
    redis.call('HSET', FOLLOWERS .. chain, endpoint, member(ARGV[i + 2], seq))
    open = open + 1
  end
end
open = redis.call('HINCRBY', ALERT .. key, 'open', open)
note(events, nil, key)
local _, sources = string.gsub(a[7] or '', '\n', '')
if sources > tonumber(ARGV[4]) then
  -- A source brought it while it was being routed: that source's rules have not been asked.
  redis.call('HSET', ALERT .. key, 'routed', 1, 'lease_ms', 0)
  redis.call('ZADD', INBOX_LEASES, 0, member(key, a[1]))
  return 'ok'
end
redis.call('HSET', ALERT .. key, 'routed', 1, 'waits', 0)
redis.call('ZREM', INBOX_LEASES, member(key, a[1]))
redis.call('ZREM', UNROUTED .. chain, member(key, a[1]))
if lane == 'urgent' then redis.call('ZREM', INBOX_URGENT, key) end
redis.call('XACK', INBOX, ARGV[3], a[5])
redis.call('XDEL', INBOX, a[5])
if open == 0 then redis.call('ZADD', OVER, a[6], key) end
return 'ok'
