-- Of an event whose schema lacks these fields the row has the event schema's default, as the worker sees it.

ALTER TABLE events
    MODIFY COLUMN `actor_type` DEFAULT 'service',
    MODIFY COLUMN `outcome` DEFAULT 'success';
