-- call, events
if not was_run(ARGV[1]) then note(2) end
return 'ok'
