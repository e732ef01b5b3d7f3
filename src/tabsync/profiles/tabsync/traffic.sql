-- What guests, waiters and the kitchen do, one statement at a time (see traffic.py for who calls which).

-- Rows are picked by md5(id || draw): a random choice that the caller's seed decides, unlike random(). Only rows that
-- are in progress are looked at, through the partial indexes, so it stays cheap in a large database. SKIP LOCKED: what
-- another session is working on is left to it.

-- name: count_restaurants
SELECT count(*) FROM restaurants;

-- name: free_table
-- A table with nobody at it, in the restaurant with this number.
SELECT d.id, d.restaurant_id
FROM dining_tables AS d
WHERE d.restaurant_id = (SELECT id FROM restaurants ORDER BY id LIMIT 1 OFFSET %(number)s)
  AND NOT EXISTS (SELECT FROM table_sessions AS s WHERE s.dining_table_id = d.id AND s.status IN ('OPEN', 'PAYING'))
ORDER BY md5(d.id::text || %(draw)s::text)
LIMIT 1;

-- name: open_session
-- Nothing is inserted when another party sat down at the table first.
INSERT INTO table_sessions (id, restaurant_id, dining_table_id)
VALUES (%(session)s, %(restaurant)s, %(table)s)
ON CONFLICT (dining_table_id) WHERE status IN ('OPEN', 'PAYING') DO NOTHING
RETURNING id;

-- name: join_session
INSERT INTO table_session_guests (table_session_id, guest_number, display_name)
VALUES (%(session)s, %(guest)s, %(name)s);

-- name: table_to_join
-- A table that is ordering and has a chair left. The lock makes two who scan the code at once get different numbers.
SELECT s.id, (SELECT max(guest_number) + 1 FROM table_session_guests AS g WHERE g.table_session_id = s.id) AS guest
FROM table_sessions AS s
JOIN dining_tables AS d ON d.id = s.dining_table_id
WHERE s.status = 'OPEN'
  AND (SELECT count(*) FROM table_session_guests AS g WHERE g.table_session_id = s.id) < least(6, d.seats)
ORDER BY md5(s.id::text || %(draw)s::text)
LIMIT 1
FOR UPDATE OF s SKIP LOCKED;

-- name: table_to_serve
-- A table whose guests may order more: three orders at most.
SELECT s.id, s.restaurant_id, (SELECT max(guest_number) FROM table_session_guests AS g WHERE g.table_session_id = s.id)
FROM table_sessions AS s
WHERE s.status = 'OPEN' AND (SELECT count(*) FROM orders AS o WHERE o.table_session_id = s.id) < 3
ORDER BY md5(s.id::text || %(draw)s::text)
LIMIT 1;

-- name: menu
SELECT id, price_cents FROM menu_items WHERE restaurant_id = %(restaurant)s AND available ORDER BY id;

-- name: place_order
INSERT INTO orders (id, restaurant_id, table_session_id, guest_number)
VALUES (%(order)s, %(restaurant)s, %(session)s, %(guest)s);

-- name: add_items
-- All items in one statement, so that the total is worked out once.
INSERT INTO order_items (order_id, menu_item_id, quantity, unit_price_cents)
SELECT %(order)s::uuid, *
FROM unnest(%(items)s::bigint[], %(quantities)s::smallint[], %(prices)s::integer[]);

-- name: order_to_move
-- What has waited longest in the kitchen.
SELECT id, status::text
FROM orders
WHERE status NOT IN ('DELIVERED', 'CANCELLED')
ORDER BY updated_at, id
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: move_order
UPDATE orders SET status = %(status)s::"OrderStatus" WHERE id = %(order)s;

-- name: table_to_bill
-- A table where everything has been served. FOR UPDATE keeps new orders out while the bill is split: placing one
-- locks its session FOR SHARE.
SELECT s.id
FROM table_sessions AS s
WHERE s.status = 'OPEN'
  AND EXISTS (SELECT FROM orders AS o WHERE o.table_session_id = s.id)
  AND NOT EXISTS (
    SELECT FROM orders AS o WHERE o.table_session_id = s.id AND o.status NOT IN ('DELIVERED', 'CANCELLED')
  )
ORDER BY md5(s.id::text || %(draw)s::text)
LIMIT 1
FOR UPDATE OF s SKIP LOCKED;

-- name: served
-- Asked after the lock was taken, whose query may have seen the table before its last order.
SELECT
  (SELECT coalesce(sum(total_cents), 0) FROM orders WHERE table_session_id = %(session)s AND status <> 'CANCELLED'),
  (SELECT count(*) FROM table_session_guests WHERE table_session_id = %(session)s),
  (
    SELECT count(*) FROM orders
    WHERE table_session_id = %(session)s AND status NOT IN ('DELIVERED', 'CANCELLED')
  );

-- name: split_bill
-- Equal shares; the cents that do not divide go to the first guests.
INSERT INTO split_payments (table_session_id, guest_number, amount_cents)
SELECT %(session)s::uuid, n, %(cents)s::int / %(payers)s::int + (n <= mod(%(cents)s::int, %(payers)s::int))::int
FROM generate_series(1, %(payers)s::int) AS n;

-- name: start_paying
UPDATE table_sessions SET status = 'PAYING' WHERE id = %(session)s;

-- name: share_to_pay
-- A share that is still owed: never tried, or declined before and tried again.
SELECT p.id, p.amount_cents, p.currency, (SELECT count(*) + 1 FROM payments AS a WHERE a.split_payment_id = p.id)
FROM table_sessions AS s
JOIN split_payments AS p ON p.table_session_id = s.id
WHERE s.status = 'PAYING' AND p.payment_status IN ('PENDING', 'FAILED')
ORDER BY md5(p.id::text || %(draw)s::text)
LIMIT 1
FOR UPDATE OF p SKIP LOCKED;

-- name: pay
INSERT INTO payments (id, split_payment_id, attempt, method, gateway, status, amount_cents, currency, metadata)
VALUES (
  %(payment)s, %(share)s, %(attempt)s, %(method)s, %(gateway)s, %(status)s, %(cents)s, %(currency)s, %(metadata)s
);

-- name: settle_share
UPDATE split_payments SET payment_status = %(status)s WHERE id = %(share)s;

-- name: table_to_free
-- A table where nobody owes anything any more, or where nothing was ordered and the restaurant takes no orders.
SELECT s.id
FROM table_sessions AS s
JOIN restaurants AS r ON r.id = s.restaurant_id
WHERE CASE s.status
  WHEN 'PAYING' THEN NOT EXISTS (
    SELECT FROM split_payments AS p
    WHERE p.table_session_id = s.id AND p.payment_status NOT IN ('PAID', 'REFUNDED')
  )
  ELSE NOT r.accepts_orders AND NOT EXISTS (SELECT FROM orders AS o WHERE o.table_session_id = s.id)
END AND s.status IN ('OPEN', 'PAYING')
ORDER BY md5(s.id::text || %(draw)s::text)
LIMIT 1
FOR UPDATE OF s SKIP LOCKED;

-- name: close_session
UPDATE table_sessions SET status = 'CLOSED', closed_at = now() WHERE id = %(session)s;
