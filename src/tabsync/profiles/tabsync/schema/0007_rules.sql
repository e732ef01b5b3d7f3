-- What must hold whoever writes: the application, psql or a script.
--
-- The functions that read or write another table than their own are SECURITY DEFINER: a waiter may order without
-- being allowed to update restaurants, which FOR SHARE asks for. Hence the pinned search_path and qualified names.

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'users', 'restaurants', 'menu_items', 'inventory_items', 'table_sessions', 'orders', 'split_payments', 'payments'
  ] LOOP
    EXECUTE format(
      'CREATE TRIGGER %1$I BEFORE UPDATE ON %2$I FOR EACH ROW '
      'WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()',
      name || '_updated_at', name
    );
  END LOOP;
END
$$;

-- Lets an order in only while its restaurant accepts orders and its session is open.
--
-- The lock is FOR SHARE because a plain read, and the FOR KEY SHARE of a foreign key, would both go past an
-- UPDATE restaurants SET accepts_orders = false that has not committed yet: the order would then be let in after the
-- kitchen closed. FOR SHARE waits for that UPDATE and reads the row again; the other way round the UPDATE waits for
-- the orders under way, so that none is left when it returns. Orders do not wait for each other. In REPEATABLE READ
-- the order fails with 40001 instead of trusting an old snapshot. Nothing here may update the rows that it locks, or
-- two orders would deadlock.
--
-- IS TRUE, and not NOT: a row that a policy hides reads as NULL, and then no order gets in.
CREATE FUNCTION orders_admission() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  accepts boolean;
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

-- A finished order isn't a new one: rows that come back from a backup get in while the restaurant is closed.
CREATE TRIGGER orders_admission BEFORE INSERT ON orders FOR EACH ROW
  WHEN (NEW.status NOT IN ('DELIVERED', 'CANCELLED')) EXECUTE FUNCTION orders_admission();
CREATE TRIGGER orders_admission_moved BEFORE UPDATE OF restaurant_id, table_session_id ON orders FOR EACH ROW
  WHEN ((OLD.restaurant_id, OLD.table_session_id) IS DISTINCT FROM (NEW.restaurant_id, NEW.table_session_id))
  EXECUTE FUNCTION orders_admission();

-- Keeps orders.total_cents equal to the sum of its items.
--
-- It sums anew and doesn't add the difference, so that rows which come back from a backup, total included, are not
-- counted twice. Two statements, the lock first: of two transactions that add an item each, the second waits for the
-- order's row, and only the snapshot that its second statement takes then sees the other's item. Locks are taken in
-- the order of ids, so two statements that touch the same orders do not deadlock.
CREATE FUNCTION order_items_total() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  touched uuid[];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    touched := ARRAY(SELECT order_id FROM items UNION SELECT order_id FROM items_before);
  ELSE
    touched := ARRAY(SELECT DISTINCT order_id FROM items);
  END IF;
  PERFORM FROM public.orders WHERE id = ANY (touched) ORDER BY id FOR NO KEY UPDATE;
  UPDATE public.orders AS o
  SET total_cents = t.cents
  FROM (
    SELECT order_id, coalesce(sum(i.line_total_cents), 0) AS cents
    FROM unnest(touched) AS order_id
    LEFT JOIN public.order_items AS i USING (order_id)
    GROUP BY order_id
  ) AS t
  WHERE o.id = t.order_id AND o.total_cents <> t.cents;
  RETURN NULL;
END
$$;

-- Three triggers, because one with transition tables can have one event only.
CREATE TRIGGER order_items_total_insert AFTER INSERT ON order_items
  REFERENCING NEW TABLE AS items FOR EACH STATEMENT EXECUTE FUNCTION order_items_total();
CREATE TRIGGER order_items_total_update AFTER UPDATE ON order_items
  REFERENCING OLD TABLE AS items_before NEW TABLE AS items FOR EACH STATEMENT EXECUTE FUNCTION order_items_total();
CREATE TRIGGER order_items_total_delete AFTER DELETE ON order_items
  REFERENCING OLD TABLE AS items FOR EACH STATEMENT EXECUTE FUNCTION order_items_total();

-- Trigger functions need no EXECUTE to fire, so nobody gets it.
REVOKE ALL ON FUNCTION set_updated_at(), orders_admission(), order_items_total() FROM PUBLIC;
