-- wanted, is_prefix
local found = redis.call('ZRANGE', NAMED .. ARGV[1], 0, 99)
if #found == 0 and ARGV[2] == '1' then
  found = redis.call('ZRANGEBYLEX', ALERT_KEYS, '[' .. ARGV[1], '(' .. ARGV[1] .. '~', 'LIMIT', 0, 100)
end
return found
