-- expected number, expected hash, genesis, id of the last entry, then the hashes
local head = redis.call('HMGET', AUDIT_HEAD, 'n', 'hash')
if (head[1] or '0') ~= ARGV[1] or (head[2] or ARGV[3]) ~= ARGV[2] then return 'moved' end
for i = 5, #ARGV do redis.call('RPUSH', AUDIT_HASHES, ARGV[i]) end
redis.call('HSET', AUDIT_HEAD, 'n', tonumber(ARGV[1]) + #ARGV - 4, 'hash', ARGV[#ARGV], 'id', ARGV[4])
return 'ok'
