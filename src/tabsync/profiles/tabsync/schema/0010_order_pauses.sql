-- Orders are paused without touching what the owners have set: a pause is a row of its own, which ends by its time though
-- whoever made it is gone. By hand, for two hours, for all restaurants:
--   INSERT INTO order_pauses (reason, paused_by, ends_at) VALUES ('why', 'who', clock_timestamp() + interval '2 hours');
--   UPDATE order_gate SET closed_at = clock_timestamp();
-- and to end it: UPDATE order_pauses SET ended_at = clock_timestamp(), ended_by = 'who' WHERE ended_at IS NULL;

CREATE TABLE order_pauses (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- No foreign key: its check would wait for whoever holds the restaurant's row FOR UPDATE, and a pause may not wait.
  restaurant_id uuid,
  reason text NOT NULL CHECK (reason <> ''),
  paused_by text NOT NULL CHECK (paused_by <> ''),
  run_id text,
  paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ends_at timestamptz NOT NULL,
  drained_at timestamptz,
  ended_at timestamptz,
  ended_by text,
  -- A run that is taken up again after a crash finds its own row.
  CONSTRAINT order_pauses_run_id_key UNIQUE (run_id),
  -- Hours, because a day has 23 or 25 of them when the clocks change. Whoever wants longer closes restaurants.
  CONSTRAINT order_pauses_lasts CHECK (ends_at > paused_at AND ends_at <= paused_at + interval '168 hours'),
  CONSTRAINT order_pauses_ended_by CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
COMMENT ON TABLE order_pauses IS 'While one stands, no new order gets in, see orders_admission(); accepts_orders stays as it is';
COMMENT ON COLUMN order_pauses.restaurant_id IS 'NULL: all restaurants, also those that are added meanwhile';
COMMENT ON COLUMN order_pauses.run_id IS 'The run of tabsync that paused; NULL: by hand';
COMMENT ON COLUMN order_pauses.drained_at IS 'Since when no order of before it is under way; NULL: unknown';
COMMENT ON COLUMN order_pauses.ended_at IS 'NULL: nobody has ended it; it ends at ends_at';
-- Those that stand: a handful of rows, however many there have been.
CREATE INDEX order_pauses_standing_idx ON order_pauses (ends_at) WHERE ended_at IS NULL;

-- A transaction in REPEATABLE READ that began before a pause can't see its row. It can't miss that this row was updated.
CREATE TABLE order_gate (
  id boolean PRIMARY KEY DEFAULT true CHECK (id),
  closed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE order_gate IS 'One row, updated after each pause: old snapshots that want to order fail with 40001';
INSERT INTO order_gate DEFAULT VALUES;

-- Lets an order in only while its restaurant accepts orders, nothing is paused, and its session is open.
--
-- The lock is FOR SHARE because a plain read, and the FOR KEY SHARE of a foreign key, would both go past an
-- UPDATE restaurants SET accepts_orders = false that has not committed yet: the order would then be let in after the
-- kitchen closed. FOR SHARE waits for that UPDATE and reads the row again; the other way round the UPDATE waits for
-- the orders under way, so that none is left when it returns. Orders do not wait for each other. In REPEATABLE READ
-- the order fails with 40001 instead of trusting an old snapshot. Nothing here may update the rows that it locks, or
-- two orders would deadlock.
--
-- IS TRUE, and not NOT: a row that a policy hides reads as NULL, and then no order gets in.
--
-- Pauses are read after that lock is there. So whoever has committed a pause and then finds the restaurant's row without
-- a lock, or every transaction ended that was writing orders at that time, knows that no order is under way any more.
-- Only a snapshot that is kept needs more than that: it locks the gate, and only when it saw no pause, so that orders
-- which are refused anyway keep nobody from closing it. The time is a variable, or the index could not be used.
CREATE OR REPLACE FUNCTION orders_admission() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  accepts boolean;
  moment timestamptz;
  paused_until timestamptz;
  session_status public."TableSessionStatus";
BEGIN
  SELECT r.accepts_orders INTO accepts FROM public.restaurants AS r WHERE r.id = NEW.restaurant_id FOR SHARE;
  IF accepts IS NOT TRUE THEN
    RAISE EXCEPTION USING
      ERRCODE = 'TS001',
      MESSAGE = format('restaurant %s does not accept orders', NEW.restaurant_id),
      HINT = 'Set restaurants.accepts_orders to true to open it again.',
      TABLE = 'orders';
  END IF;
  moment := clock_timestamp();
  SELECT max(p.ends_at) INTO paused_until
  FROM public.order_pauses AS p
  WHERE p.ended_at IS NULL AND p.ends_at > moment
    AND (p.restaurant_id IS NULL OR p.restaurant_id = NEW.restaurant_id);
  IF paused_until IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'TS001',
      MESSAGE = format(
        'restaurant %s takes no orders until %s UTC: orders are paused',
        NEW.restaurant_id, to_char(paused_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
      ),
      HINT = 'To see by whom and why: tabsync orders status. To end it: tabsync orders resume.',
      TABLE = 'orders';
  END IF;
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    PERFORM FROM public.order_gate FOR SHARE;
  END IF;
  SELECT s.status INTO session_status FROM public.table_sessions AS s WHERE s.id = NEW.table_session_id FOR SHARE;
  IF session_status IS DISTINCT FROM 'OPEN' THEN
    RAISE EXCEPTION USING
      ERRCODE = 'TS002',
      MESSAGE = format('table session %s takes no more orders', NEW.table_session_id),
      DETAIL = format('Its status is %s.', coalesce(session_status::text, 'unknown')),
      HINT = 'Once the bill is split, guests who want more open a new session.',
      TABLE = 'orders';
  END IF;
  RETURN NEW;
END
$$;
