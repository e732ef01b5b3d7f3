-- The data that generate.py makes, as INSERT ... SELECT from series of numbers. Nothing is random: every choice is a
-- hash of (seed, number of the thing, number of the question), so it can be asked again anywhere and gives the same.
--
-- %(scale)s parameters, bound by generate.py: at = the moment the data ends; restaurants, tables, sessions, orders,
-- customers = how many there are; lo, hi = the sessions of this batch, hi excluded. mod() stands for the operator,
-- whose sign would have to be doubled in a statement with parameters. Where two sets are joined there is an ORDER BY,
-- because the order in which a join gives its rows is up to the planner, and it is the order in which they lie on disk.

-- name: helpers
-- Inlined by the planner, so they cost no call. {seed} is put in as a number, because an immutable
-- function cannot read a setting.
CREATE OR REPLACE FUNCTION pg_temp.pick(i bigint, question int, n int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT mod(hashint8extended(i, ({seed})::bigint * 7919 + question) & 9223372036854775807, n)::int
$$;
-- A uuid of version 8, the one for ids made by a rule of one's own (RFC 9562, section 5.8).
CREATE OR REPLACE FUNCTION pg_temp.ref(kind text, i bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT overlay(overlay(md5(({seed})::text || kind || i) PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid
$$;
CREATE OR REPLACE FUNCTION pg_temp.person(i bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (ARRAY['Ana','Bruno','Carla','Diego','Elisa','Fabio','Gabriela','Heitor','Iara','Joao','Karina','Lucas',
                'Marina','Nuno','Olivia','Paulo','Renata','Sergio','Tais','Vitor'])[1 + pg_temp.pick(i, 101, 20)]
    || ' ' ||
    (ARRAY['Almeida','Barros','Cardoso','Dias','Esteves','Freitas','Gomes','Lima','Macedo','Nunes','Oliveira','Pinto',
           'Queiroz','Ramos','Silva','Teixeira','Vieira','Xavier'])[1 + pg_temp.pick(i, 102, 18)]
$$;
-- Menu items 30 * r + 1 to 30 * r + 30 belong to restaurant r.
CREATE OR REPLACE FUNCTION pg_temp.price(menu_item bigint) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 790 + 50 * pg_temp.pick(menu_item, 111, 140) $$;
CREATE OR REPLACE FUNCTION pg_temp.chosen(r int, line bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 30 * r::bigint + 1 + pg_temp.pick(line, 112, 30) $$;
CREATE OR REPLACE FUNCTION pg_temp.quantity(line bigint) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (ARRAY[1,1,1,1,1,1,1,2,2,3])[1 + pg_temp.pick(line, 113, 10)]
$$;
-- Five sessions have eight orders: 1, 2, 1, 3 and 1. So the number of orders is exact, and nobody has to count.
CREATE OR REPLACE FUNCTION pg_temp.first_order(s bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT s / 5 * 8 + (ARRAY[0,1,3,4,7])[1 + mod(s, 5)] $$;

-- name: drop_helpers
DROP FUNCTION pg_temp.first_order, pg_temp.quantity, pg_temp.chosen, pg_temp.price, pg_temp.person, pg_temp.ref,
  pg_temp.pick;

-- name: users
-- Numbered from 0: a super admin, two consultants, then for each restaurant its owner, three waiters and two of the
-- kitchen, then the customers. Nobody is ADMIN any more. The first customer is the one whom the manual promotes.
-- Customers come at the pace of the sessions (see stage_sessions), each before the first session that names them.
INSERT INTO users (id, email, full_name, role, password_hash, email_verified, created_at, updated_at)
SELECT
  pg_temp.ref('user', u),
  CASE u - staff WHEN 0 THEN 'user' ELSE lower(replace(pg_temp.person(u), ' ', '.')) || u END || '@example.com',
  pg_temp.person(u),
  CASE
    WHEN u = 0 THEN 'SUPER_ADMIN'
    WHEN u < 3 THEN 'CONSULTANT'
    WHEN u >= staff THEN 'CUSTOMER'
    ELSE (ARRAY['RESTAURANT_OWNER','WAITER','WAITER','WAITER','KITCHEN','KITCHEN'])[1 + mod(u - 3, 6)]
  END::"UserRole",
  '$2b$10$' || left(md5('salt' || u) || md5('hash' || u), 53),
  u < staff OR pg_temp.pick(u, 1, 10) < 8,
  made,
  made
FROM (SELECT 3 + 6 * %(restaurants)s::int AS staff) AS scale,
  generate_series(0, staff + %(customers)s::int - 1) AS u,
  LATERAL (
    SELECT %(at)s::timestamptz - make_interval(
      secs => CASE WHEN u < staff THEN 36288000 - u ELSE 3600 + floor(34560000 * y * sqrt(y)) END
    ) AS made
    FROM (SELECT 1 - (u - staff) / %(customers)s::float8 AS y) AS place
  ) AS account;

-- name: restaurants
INSERT INTO restaurants (id, owner_id, name, slug, created_at, updated_at)
SELECT
  pg_temp.ref('restaurant', r), pg_temp.ref('user', 3 + 6 * r), place.name,
  lower(replace(place.name, ' ', '-')) || '-' || r + 1, place.made, place.made
FROM generate_series(0, %(restaurants)s::int - 1) AS r,
  LATERAL (
    SELECT
      (ARRAY['Cantina','Bistro','Boteco','Churrascaria','Padaria','Pizzaria'])[1 + pg_temp.pick(r, 3, 6)] || ' ' ||
      (ARRAY['Aurora','Bela Vista','Central','Dourada','Estrela','Lapa','Moema','Pinheiros'])[1 + pg_temp.pick(r, 4, 8)]
        AS name,
      %(at)s::timestamptz - make_interval(secs => 36200000 - r) AS made
  ) AS place;

-- name: staff
INSERT INTO staff (id, restaurant_id, user_id, position, created_at)
OVERRIDING SYSTEM VALUE
SELECT
  6 * r + n + 1, pg_temp.ref('restaurant', r), pg_temp.ref('user', 3 + 6 * r + n),
  (ARRAY['OWNER','WAITER','WAITER','WAITER','KITCHEN','KITCHEN'])[n + 1]::"StaffPosition",
  %(at)s::timestamptz - make_interval(secs => 36100000 - 6 * r - n)
FROM generate_series(0, %(restaurants)s::bigint - 1) AS r, generate_series(0, 5) AS n
ORDER BY r, n;

-- name: dining_tables
-- Table t stands in restaurant mod(t, restaurants), twelve in each.
INSERT INTO dining_tables (id, restaurant_id, number, seats, qr_token, created_at)
SELECT
  pg_temp.ref('table', t), pg_temp.ref('restaurant', mod(t, %(restaurants)s::int)), t / %(restaurants)s::int + 1,
  (ARRAY[2,2,4,4,6,8])[1 + pg_temp.pick(t, 5, 6)], pg_temp.ref('code', t),
  %(at)s::timestamptz - make_interval(secs => 36000000 - t)
FROM generate_series(0, %(tables)s::int - 1) AS t;

-- name: menu_categories
INSERT INTO menu_categories (id, restaurant_id, name, sort_order, created_at)
OVERRIDING SYSTEM VALUE
SELECT
  5 * r + n + 1, pg_temp.ref('restaurant', r),
  (ARRAY['Entradas','Pratos','Massas','Bebidas','Sobremesas'])[n + 1], n,
  %(at)s::timestamptz - make_interval(secs => 36000000 - r)
FROM generate_series(0, %(restaurants)s::bigint - 1) AS r, generate_series(0, 4) AS n
ORDER BY r, n;

-- name: menu_items
INSERT INTO menu_items
  (id, restaurant_id, category_id, name, description, price_cents, allergens, available, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT
  item, pg_temp.ref('restaurant', r), 5 * r + n / 6 + 1,
  (ARRAY['Salada','Sopa','Pastel','Bolinho','Caldo','Queijo','Feijoada','Moqueca','Picanha','Frango','Peixe','Risoto',
         'Lasanha','Nhoque','Ravioli','Espaguete','Talharim','Canelone','Suco','Caipirinha','Cerveja','Cafe','Vinho',
         'Agua','Pudim','Brigadeiro','Mousse','Sorvete','Torta','Romeu'])[n + 1] || ' da casa',
  'Receita ' || left(md5(item::text), 6),
  pg_temp.price(item),
  (ARRAY['{}','{}','{gluten}','{lactose}','{gluten,lactose}','{amendoim}'])[1 + pg_temp.pick(item, 6, 6)]::text[],
  pg_temp.pick(item, 7, 100) > 3,
  made, made
FROM generate_series(0, %(restaurants)s::bigint - 1) AS r, generate_series(0, 29) AS n,
  LATERAL (
    SELECT 30 * r + n + 1 AS item, %(at)s::timestamptz - make_interval(secs => 35900000 - 30 * r - n) AS made
  ) AS row
ORDER BY r, n;

-- name: inventory_items
INSERT INTO inventory_items (id, restaurant_id, name, unit, quantity, reorder_at, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT
  10 * r + n + 1, pg_temp.ref('restaurant', r),
  (ARRAY['Arroz','Feijao','Carne','Frango','Peixe','Farinha','Leite','Azeite','Ovos','Garrafas'])[n + 1],
  (ARRAY['KG','KG','KG','KG','KG','KG','LITRE','LITRE','PIECE','PIECE'])[n + 1]::"InventoryUnit",
  pg_temp.pick(10 * r + n, 8, 80000) / 1000.0, 5 + n, made, made
FROM generate_series(0, %(restaurants)s::bigint - 1) AS r, generate_series(0, 9) AS n,
  LATERAL (SELECT %(at)s::timestamptz - make_interval(secs => 35800000 - 10 * r - n) AS made) AS row
ORDER BY r, n;

-- name: role_changes
-- Staff began as customers; a consultant promoted them.
INSERT INTO audit_logs (id, user_id, action, entity_type, entity_id, old_value, new_value, created_at)
OVERRIDING SYSTEM VALUE
SELECT
  u - 2, pg_temp.ref('user', 1 + mod(u, 2)), 'ROLE_CHANGE', 'User', pg_temp.ref('user', u)::text,
  jsonb_build_object('role', 'CUSTOMER'),
  jsonb_build_object(
    'role', (ARRAY['RESTAURANT_OWNER','WAITER','WAITER','WAITER','KITCHEN','KITCHEN'])[1 + mod(u - 3, 6)]
  ),
  %(at)s::timestamptz - make_interval(secs => 36150000 - u)
FROM generate_series(3, 2 + 6 * %(restaurants)s::int) AS u;

-- name: stage
-- What the statements of one batch share. Gone with the transaction.
CREATE TEMP TABLE stage_sessions (
  s bigint, id uuid, r int, t int, opened timestamptz, status "TableSessionStatus", span interval, guests int
) ON COMMIT DROP;
CREATE TEMP TABLE stage_orders (
  i bigint, id uuid, s bigint, session_id uuid, r int, guest int, staff bigint, made timestamptz, status "OrderStatus",
  items int, cents int
) ON COMMIT DROP;
CREATE TEMP TABLE stage_shares (
  id bigint, session_id uuid, guest int, cents int, made timestamptz, status "PaymentStatus", method "PaymentMethod",
  declined boolean
) ON COMMIT DROP;

-- name: clear_stage
TRUNCATE stage_sessions, stage_orders, stage_shares;

-- name: stage_sessions
-- The platform grows: session s of n began 400 days * y^1.5 ago with y = (n - s) / n, and the jitter stays within its
-- place, so sessions are in the order of time. A table's next session is a whole round of tables later, which at this
-- rate is longer than anyone stays. Only y * sqrt(y), since IEEE 754 rounds the two the same everywhere.
-- "span" is how much of the visit has happened: all of it, or what went by since it began.
INSERT INTO stage_sessions (s, id, r, t, opened, status, span, guests)
SELECT
  s, pg_temp.ref('session', s), mod(s, %(restaurants)s::int), mod(s, %(tables)s::int),
  %(at)s::timestamptz - make_interval(secs => age),
  CASE
    WHEN age >= 60 * minutes THEN CASE WHEN pg_temp.pick(s, 11, 1000) < 5 THEN 'ABANDONED' ELSE 'CLOSED' END
    WHEN age * 100 >= 60 * minutes * 80 THEN 'PAYING'
    ELSE 'OPEN'
  END::"TableSessionStatus",
  make_interval(secs => least(age, 60 * minutes)),
  (ARRAY[1,1,1,1,1,2,2,2,2,2,2,2,3,3,3,4,4,5,6])[1 + pg_temp.pick(s, 12, 19)]
FROM (
  SELECT s, floor(34560000 * y * sqrt(y))::int AS age, 40 + pg_temp.pick(s, 13, 60) AS minutes
  FROM generate_series(%(lo)s::bigint, %(hi)s::bigint - 1) AS s,
    LATERAL (
      SELECT (%(sessions)s::bigint - s - pg_temp.pick(s, 14, 1000) / 1000.0::float8) / %(sessions)s::bigint AS y
    ) AS place
  OFFSET 0
) AS visit;

-- name: stage_orders
-- A live order's status goes by its age in minutes; a table that pays has been served.
INSERT INTO stage_orders (i, id, s, session_id, r, guest, staff, made, status, items, cents)
SELECT
  i, pg_temp.ref('order', i), s, session_id, r, guest, staff, made,
  CASE
    WHEN pg_temp.pick(i, 21, 100) < 4 THEN 'CANCELLED'
    WHEN served OR made < %(at)s::timestamptz - interval '25 min' THEN 'DELIVERED'
    WHEN made < %(at)s::timestamptz - interval '18 min' THEN 'READY'
    WHEN made < %(at)s::timestamptz - interval '8 min' THEN 'PREPARING'
    WHEN made < %(at)s::timestamptz - interval '3 min' THEN 'CONFIRMED'
    ELSE 'PENDING'
  END::"OrderStatus",
  items,
  (
    SELECT sum(pg_temp.quantity(4 * i + n) * pg_temp.price(pg_temp.chosen(r, 4 * i + n)))
    FROM generate_series(0, items - 1) AS n
  )
FROM (
  SELECT
    i, v.s, v.id AS session_id, v.r, v.status <> 'OPEN' AS served,
    1 + mod(i, v.guests) AS guest,
    CASE WHEN pg_temp.pick(i, 22, 10) < 3 THEN 6 * v.r + 2 + pg_temp.pick(i, 23, 3) END AS staff,
    v.opened + v.span * (5 + 25 * k + pg_temp.pick(i, 24, 15)) / 100 AS made,
    (ARRAY[1,1,1,1,2,2,2,2,3,4])[1 + pg_temp.pick(i, 25, 10)] AS items
  FROM stage_sessions AS v,
    generate_series(0, (ARRAY[0,1,0,2,0])[1 + mod(v.s, 5)]) AS k,
    LATERAL (SELECT pg_temp.first_order(v.s) + k AS i) AS number
  WHERE i < %(orders)s::bigint
  OFFSET 0
) AS o
ORDER BY i;

-- name: stage_shares
-- Six in ten bills are paid by one guest, the others by all; the cents that do not divide go to the first ones.
INSERT INTO stage_shares (id, session_id, guest, cents, made, status, method, declined)
SELECT
  id, session_id, guest, cents / payers + (guest <= mod(cents, payers))::int, made,
  CASE
    WHEN session_status = 'ABANDONED' THEN 'FAILED'
    WHEN session_status = 'PAYING' AND pg_temp.pick(id, 31, 2) = 0 THEN 'PENDING'
    WHEN session_status = 'CLOSED' AND pg_temp.pick(id, 32, 1000) < 4 THEN 'REFUNDED'
    ELSE 'PAID'
  END::"PaymentStatus",
  method, method <> 'CASH' AND pg_temp.pick(id, 33, 1000) < 19
FROM (
  SELECT
    6 * b.s + guest AS id, b.session_id, guest, b.cents, b.payers, b.made, b.session_status,
    CASE
      WHEN b.session_status = 'ABANDONED' OR asked < 6 THEN 'CARD'
      WHEN asked < 9 THEN 'PIX'
      ELSE 'CASH'
    END::"PaymentMethod" AS method
  FROM (
    SELECT
      v.s, v.id AS session_id, o.cents, v.status AS session_status, v.opened + v.span * 88 / 100 AS made,
      CASE WHEN pg_temp.pick(v.s, 35, 10) < 6 THEN 1 ELSE v.guests END AS payers
    FROM stage_sessions AS v
    JOIN (
      SELECT s, sum(cents)::int AS cents FROM stage_orders WHERE status <> 'CANCELLED' GROUP BY s
    ) AS o USING (s)
    WHERE v.status <> 'OPEN'
    OFFSET 0
  ) AS b, generate_series(1, b.payers) AS guest, pg_temp.pick(6 * b.s + guest, 34, 10) AS asked
  OFFSET 0
) AS share
ORDER BY id;

-- name: table_sessions
INSERT INTO table_sessions (id, restaurant_id, dining_table_id, status, created_at, updated_at, closed_at)
SELECT
  id, pg_temp.ref('restaurant', r), pg_temp.ref('table', t), status, opened, opened + span,
  CASE WHEN status IN ('CLOSED', 'ABANDONED') THEN opened + span END
FROM stage_sessions;

-- name: table_session_guests
-- Three guests in ten have an account.
INSERT INTO table_session_guests (table_session_id, guest_number, display_name, user_id, created_at)
SELECT
  id, g, split_part(pg_temp.person(account), ' ', 1),
  CASE WHEN pg_temp.pick(6 * s + g, 41, 10) < 3 THEN pg_temp.ref('user', account) END, opened + span * g / 100
FROM stage_sessions, generate_series(1, guests) AS g,
  LATERAL (
    SELECT 3 + 6 * %(restaurants)s::int + pg_temp.pick(
      6 * s + g, 42, greatest(1, %(customers)s::bigint * s / %(sessions)s::bigint)::int
    ) AS account
  ) AS who
ORDER BY s, g;

-- name: orders
INSERT INTO orders
  (id, restaurant_id, table_session_id, guest_number, staff_id, status, total_cents, notes, created_at, updated_at)
SELECT
  id, pg_temp.ref('restaurant', r), session_id, guest, staff, status, cents,
  CASE WHEN pg_temp.pick(i, 43, 12) = 0
    THEN (ARRAY['sem pressa','aniversario','em dois pratos','alergia: avisar a cozinha'])[1 + pg_temp.pick(i, 44, 4)]
  END,
  made, least(made + interval '25 min', %(at)s::timestamptz)
FROM stage_orders;

-- name: order_items
INSERT INTO order_items (id, order_id, menu_item_id, quantity, unit_price_cents, notes)
OVERRIDING SYSTEM VALUE
SELECT
  line + 1, id, menu_item, pg_temp.quantity(line), pg_temp.price(menu_item),
  CASE WHEN pg_temp.pick(line, 45, 15) = 0
    THEN (ARRAY['sem cebola','bem passado','sem gelo','molho a parte'])[1 + pg_temp.pick(line, 46, 4)]
  END
FROM stage_orders, generate_series(0, items - 1) AS n,
  LATERAL (SELECT 4 * i + n AS line, pg_temp.chosen(r, 4 * i + n) AS menu_item) AS row
ORDER BY line;

-- name: split_payments
INSERT INTO split_payments
  (id, table_session_id, guest_number, amount_cents, payment_status, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT id, session_id, guest, cents, status, made, made FROM stage_shares;

-- name: payments
-- A declined share has its failed attempt first. A pending share that was declined has only that one so far.
INSERT INTO payments
  (id, split_payment_id, attempt, method, gateway, status, amount_cents, metadata, created_at, updated_at)
SELECT
  pg_temp.ref('payment', line), id, attempt, method, gateway, outcome, cents,
  CASE method
    WHEN 'CASH' THEN '{}'
    WHEN 'PIX' THEN jsonb_build_object('txid', left(md5('txid' || line), 26))
    ELSE jsonb_build_object(
      'intent', 'pi_' || left(md5('intent' || line), 24), 'last4', lpad(pg_temp.pick(line, 51, 10000)::text, 4, '0'),
      'brand', (ARRAY['visa','mastercard','elo'])[1 + pg_temp.pick(id, 52, 3)]
    )
  END || CASE
    WHEN outcome <> 'FAILED' THEN '{}'
    WHEN method = 'PIX' THEN '{"decline_code": "expired"}'
    ELSE jsonb_build_object(
      'decline_code',
      (ARRAY['insufficient_funds','do_not_honor','expired_card','incorrect_cvc'])[1 + pg_temp.pick(line, 53, 4)]
    )
  END,
  moment, moment
FROM (
  SELECT
    *, 8 * id + attempt AS line, made + span_of_attempt * attempt AS moment,
    CASE WHEN attempt <= declined::int THEN 'FAILED' ELSE status END::"PaymentStatus" AS outcome,
    CASE method
      WHEN 'PIX' THEN 'mercadopago'
      WHEN 'CARD' THEN CASE WHEN pg_temp.pick(id, 54, 10) < 7 THEN 'stripe' ELSE 'mercadopago' END
    END::"PaymentGateway" AS gateway
  FROM stage_shares, generate_series(1, declined::int + (status <> 'PENDING')::int) AS attempt,
    LATERAL (SELECT least(interval '1 min', (%(at)s::timestamptz - made) / 3) AS span_of_attempt) AS pace
  OFFSET 0
) AS tried
ORDER BY line;

-- name: audit_logs
-- Orders that staff entered, cancellations, and now and then a line that was taken off an order.
INSERT INTO audit_logs (id, user_id, action, entity_type, entity_id, old_value, new_value, created_at)
OVERRIDING SYSTEM VALUE
SELECT
  6 * %(restaurants)s::bigint + 3 * i + n, pg_temp.ref('user', coalesce(staff, 6 * r + 2) + 2),
  (ARRAY['CREATE','UPDATE','DELETE'])[n], (ARRAY['Order','Order','OrderItem'])[n],
  CASE n WHEN 3 THEN (4 * i + 4)::text ELSE id::text END,
  CASE n
    WHEN 2 THEN jsonb_build_object('status', 'CONFIRMED')
    WHEN 3 THEN jsonb_build_object('order_id', id, 'quantity', 1)
  END,
  CASE n
    WHEN 1 THEN jsonb_build_object('status', 'PENDING', 'total_cents', cents)
    WHEN 2 THEN jsonb_build_object('status', 'CANCELLED')
  END,
  least(made + interval '1 min' * (n - 1), %(at)s::timestamptz)
FROM stage_orders, generate_series(1, 3) AS n
WHERE CASE n
  WHEN 1 THEN staff IS NOT NULL
  WHEN 2 THEN status = 'CANCELLED'
  ELSE pg_temp.pick(i, 61, 250) = 0 AND items < 4
END
ORDER BY i, n;
