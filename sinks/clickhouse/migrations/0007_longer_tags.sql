-- Two bytes of a hash name a record that was changed; which of a thousand records stands at another's place takes four.

ALTER TABLE checkpoint_tiles ADD COLUMN IF NOT EXISTS `more_tags` Array(UInt16) CODEC(NONE) COMMENT 'The two bytes of each hash that follow its tag. Empty in tiles that were made before.' AFTER tags;
