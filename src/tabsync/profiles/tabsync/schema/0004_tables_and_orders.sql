-- Guests sit down (a session), join it, and order.

CREATE TABLE table_sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  restaurant_id uuid NOT NULL,
  dining_table_id uuid NOT NULL,
  status "TableSessionStatus" NOT NULL DEFAULT 'OPEN',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  CONSTRAINT table_sessions_dining_table_fkey
    FOREIGN KEY (dining_table_id, restaurant_id) REFERENCES dining_tables (id, restaurant_id),
  -- Aim of the foreign key that keeps an order in its session's restaurant.
  CONSTRAINT table_sessions_id_restaurant_id_key UNIQUE (id, restaurant_id),
  CONSTRAINT table_sessions_closed_at CHECK ((status IN ('CLOSED', 'ABANDONED')) = (closed_at IS NOT NULL)),
  CONSTRAINT table_sessions_closes_after_opening CHECK (closed_at >= created_at)
);
-- A table is free when it has no row here: one party at a time, whoever races for the chair.
CREATE UNIQUE INDEX table_sessions_seated_key ON table_sessions (dining_table_id) WHERE status IN ('OPEN', 'PAYING');
CREATE INDEX table_sessions_dining_table_id_idx ON table_sessions (dining_table_id);
CREATE INDEX table_sessions_restaurant_id_created_at_idx ON table_sessions (restaurant_id, created_at);

CREATE TABLE table_session_guests (
  table_session_id uuid NOT NULL REFERENCES table_sessions ON DELETE CASCADE,
  guest_number smallint NOT NULL CHECK (guest_number BETWEEN 1 AND 20),
  display_name text NOT NULL CHECK (display_name <> ''),
  user_id uuid REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_session_id, guest_number)
);
COMMENT ON COLUMN table_session_guests.user_id IS 'NULL: a guest without an account';
CREATE INDEX table_session_guests_user_id_idx ON table_session_guests (user_id) WHERE user_id IS NOT NULL;

CREATE TABLE orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  restaurant_id uuid NOT NULL,
  table_session_id uuid NOT NULL,
  staff_id bigint REFERENCES staff,
  guest_number smallint,
  status "OrderStatus" NOT NULL DEFAULT 'PENDING',
  total_cents money_cents NOT NULL DEFAULT 0,
  currency currency_code NOT NULL DEFAULT 'BRL',
  notes text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT orders_table_session_fkey
    FOREIGN KEY (table_session_id, restaurant_id) REFERENCES table_sessions (id, restaurant_id),
  CONSTRAINT orders_guest_fkey
    FOREIGN KEY (table_session_id, guest_number) REFERENCES table_session_guests (table_session_id, guest_number)
);
COMMENT ON COLUMN orders.total_cents IS 'Sum of the items, kept by order_items_total(); never written by hand';
COMMENT ON COLUMN orders.staff_id IS 'NULL: ordered by the guest, from the phone';
COMMENT ON COLUMN orders.guest_number IS 'NULL: ordered for the whole table';
CREATE INDEX orders_table_session_id_idx ON orders (table_session_id, guest_number);
CREATE INDEX orders_restaurant_id_created_at_idx ON orders (restaurant_id, created_at);
CREATE INDEX orders_created_at_idx ON orders (created_at);
CREATE INDEX orders_staff_id_idx ON orders (staff_id) WHERE staff_id IS NOT NULL;
-- The kitchen's screen: a handful of rows out of millions.
CREATE INDEX orders_kitchen_idx ON orders (restaurant_id, created_at) WHERE status NOT IN ('DELIVERED', 'CANCELLED');

CREATE TABLE order_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id uuid NOT NULL REFERENCES orders ON DELETE CASCADE,
  menu_item_id bigint NOT NULL REFERENCES menu_items,
  quantity smallint NOT NULL CHECK (quantity BETWEEN 1 AND 99),
  unit_price_cents money_cents NOT NULL,
  line_total_cents integer NOT NULL GENERATED ALWAYS AS (quantity * unit_price_cents) STORED,
  notes text
);
COMMENT ON COLUMN order_items.unit_price_cents IS 'The price when it was ordered; the menu may change later';
CREATE INDEX order_items_order_id_idx ON order_items (order_id);
CREATE INDEX order_items_menu_item_id_idx ON order_items (menu_item_id);
