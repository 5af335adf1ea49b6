-- What the scripts share. Times that are compared are milliseconds; times that are shown are text.

-- A member of a time-ordered set: equal times keep the order of routing.
local function member(id, seq) return string.format('%016d:%s', seq, id) end
local function id_of(m) return string.sub(m, 18) end

local FINAL = { delivered = true, dead = true, expired = true }

-- The states that are lists. What every delivery passes is found in the order of routing.
local LISTED = { waiting = true, dead = true, expired = true }

-- Moves a delivery to the list of its new state.
local function turn(id, seq, from, to)
  if from == to then return end
  if LISTED[from] then redis.call('ZREM', STATE .. from, id) end
  if LISTED[to] then redis.call('ZADD', STATE .. to, seq, id) end
  redis.call('HSET', DELIVERY .. id, 'state', to)
end

-- The claim of a delivery led to no attempt. How many there were.
local function uncount(key)
  local attempts = redis.call('HINCRBY', key, 'attempts', -1)
  if attempts == 0 then redis.call('HDEL', key, 'attempted_at') end
  return attempts
end

-- Makes the first of a line its head, due no later than now.
local function promote(line, now_at, now_ms)
  local first = redis.call('ZRANGE', LINE .. line, 0, 0)[1]
  if not first then return end
  local d = redis.call('HMGET', DELIVERY .. first, 'head', 'due_ms', 'lane', 'seq')
  if d[1] == '1' then return end
  local due = tonumber(d[2])
  if due > tonumber(now_ms) then
    due = tonumber(now_ms)
    redis.call('HSET', DELIVERY .. first, 'due_at', now_at, 'due_ms', now_ms)
  end
  redis.call('HSET', DELIVERY .. first, 'head', 1)
  redis.call('ZADD', DUE .. d[3], due, member(first, d[4]))
end

-- Puts a head that nobody attempts among the due. Of two heads of one line, which two chains that became one can have,
-- the later one waits for the other.
local function become_due(id, due_ms)
  local d = redis.call('HMGET', DELIVERY .. id, 'chain', 'endpoint', 'lane', 'seq')
  for _, before in ipairs(redis.call('ZRANGE', LINE .. d[1] .. ':' .. d[2], 0, -1)) do
    if before == id then break end
    if redis.call('HGET', DELIVERY .. before, 'head') == '1' then
      redis.call('HSET', DELIVERY .. id, 'head', 0)
      return
    end
  end
  redis.call('ZADD', DUE .. d[3], due_ms, member(id, d[4]))
end

-- Records events: `ARGV[first]` is how many, then their texts and the alert of each. They are chained later. `here` is an
-- alert that is known to be in the archive.
local function note(first, about, here)
  for i = first + 1, first + 2 * tonumber(ARGV[first]), 2 do
    redis.call('XADD', AUDIT, '*', 'event', ARGV[i])
    local alert = about or ARGV[i + 1]
    -- Nobody reads the journey of an alert that was swept.
    if alert ~= '' and (alert == here or redis.call('EXISTS', ALERT .. alert) == 1
      or redis.call('EXISTS', SEEN .. alert) == 0) then
      redis.call('RPUSH', EVENTS .. alert, ARGV[i])
    end
  end
end

-- Whether this very call was run before, and its answer was lost.
local function was_run(call) return not redis.call('SET', CALL .. call, 1, 'NX', 'EX', 3600) end

-- Puts an alert into the routing queue. Its entry there.
local function line_up(key, seq, chain, sent_ms, lane)
  redis.call('ZADD', UNROUTED .. chain, sent_ms, member(key, seq))
  if lane == 'urgent' then redis.call('ZADD', INBOX_URGENT, seq, key) end
  return redis.call('XADD', INBOX, '*', 'key', key)
end

-- Puts an alert into the routing queue again, unless it is there.
local function await(key)
  local alert = ALERT .. key
  local a = redis.call('HMGET', alert, 'waits', 'seq', 'chain', 'sent_ms', 'lane')
  if a[1] == '1' then return end
  redis.call('HSET', alert, 'waits', 1, 'lease_ms', 0, 'entry', line_up(key, a[2], a[3], a[4], a[5]))
  redis.call('ZREM', OVER, key)
end

-- What the records of an alert are made of.
local function envelope_of(key) return redis.call('HMGET', ALERT .. key, 'envelope', 'chain', 'also') end

-- The chain of a name, and whether a message carries the name.
local function chain_of(name)
  local n = redis.call('HMGET', NAME .. name, 'chain', 'accepted')
  local chain = n[1]
  while chain do
    local into = redis.call('GET', MERGED .. chain)
    if not into then break end
    chain = into
  end
  return chain, n[2] == '1'
end

local function move(from, into)
  redis.call('ZUNIONSTORE', into, 2, into, from, 'AGGREGATE', 'MAX')
  redis.call('DEL', from)
end

-- Moves everything of a chain to another. Of two heads of one line the later one steps back, unless it is under way.
local function merge(from, into, over_ms)
  redis.call('SET', MERGED .. from, into)
  redis.call('ZADD', FORGET, over_ms, 'm:' .. from)
  for _, m in ipairs(redis.call('ZRANGE', CHAIN .. from, 0, -1)) do
    local key = id_of(m)
    redis.call('HSET', ALERT .. key, 'chain', into)
    for _, id in ipairs(redis.call('ZRANGE', DELIVERIES_OF .. key, 0, -1)) do
      redis.call('HSET', DELIVERY .. id, 'chain', into)
    end
  end
  move(CHAIN .. from, CHAIN .. into)
  move(UNROUTED .. from, UNROUTED .. into)
  local followers = redis.call('HGETALL', FOLLOWERS .. from)
  for i = 1, #followers, 2 do
    local endpoint, newest = followers[i], followers[i + 1]
    local ours = redis.call('HGET', FOLLOWERS .. into, endpoint)
    if not ours or ours < newest then redis.call('HSET', FOLLOWERS .. into, endpoint, newest) end
    local line = into .. ':' .. endpoint
    move(LINE .. from .. ':' .. endpoint, LINE .. line)
    move(ISSUED .. from .. ':' .. endpoint, ISSUED .. line)
    for _, id in ipairs(redis.call('ZRANGE', LINE .. line, 1, -1)) do
      local d = redis.call('HMGET', DELIVERY .. id, 'head', 'state', 'lane', 'seq')
      if d[1] == '1' and d[2] ~= 'attempting' then
        redis.call('HSET', DELIVERY .. id, 'head', 0)
        redis.call('ZREM', DUE .. d[3], member(id, d[4]))
      end
    end
  end
  redis.call('DEL', FOLLOWERS .. from)
end
