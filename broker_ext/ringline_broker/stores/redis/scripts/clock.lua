-- Moves the newest store time forward. Needs record.lua.
-- KEYS  1 clock
-- ARGV  1 store time, microseconds
move_clock(KEYS[1], ARGV[1])
return 1
