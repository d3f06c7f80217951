-- Set before the provider is told to cancel an attempt: until it refuses, the cancellation may arrive at any moment, so the
-- attempt pays for nothing any more.
alter table payment add column cancelling boolean not null default false;
