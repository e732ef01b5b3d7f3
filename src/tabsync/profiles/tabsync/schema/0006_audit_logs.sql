-- What was done by whom. No foreign keys: the log outlives the rows and the people that it tells about.

CREATE TABLE audit_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid,
  action text NOT NULL CHECK (action <> ''),
  entity_type text NOT NULL CHECK (entity_type <> ''),
  entity_id text NOT NULL,
  old_value jsonb,
  new_value jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN audit_logs.user_id IS 'NULL: done by the system itself';
COMMENT ON COLUMN audit_logs.entity_id IS 'The row''s key as text, because keys are uuids, numbers and pairs';
CREATE INDEX audit_logs_entity_id_idx ON audit_logs (entity_id);
CREATE INDEX audit_logs_user_id_idx ON audit_logs (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_logs_created_at_idx ON audit_logs USING brin (created_at);
CREATE INDEX audit_logs_deletes_idx ON audit_logs (created_at) WHERE action = 'DELETE';
