-- An account that may not sign in any more stays: orders, payments and the audit log name it.

ALTER TABLE users ADD COLUMN disabled_at timestamptz;
COMMENT ON COLUMN users.disabled_at IS 'NULL: the account is in use';
