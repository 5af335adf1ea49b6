-- entries before the anchor, how many to delete, hash of the last of them, id of the first that stays, call, events
if was_run(ARGV[5]) then return 'ok' end
if (redis.call('HGET', AUDIT_ANCHOR, 'n') or '0') ~= ARGV[1] then return 'moved' end
note(6)
redis.call('XTRIM', AUDIT, 'MINID', '=', ARGV[4])
redis.call('LTRIM', AUDIT_HASHES, ARGV[2], -1)
redis.call('HSET', AUDIT_ANCHOR, 'n', tonumber(ARGV[1]) + tonumber(ARGV[2]), 'hash', ARGV[3])
return 'ok'
